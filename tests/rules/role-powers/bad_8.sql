DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT rolname FROM pg_roles WHERE rolname LIKE 'app%' LOOP
        EXECUTE format('ALTER ROLE %I SUPERUSER', name);
    END LOOP;
END $$;
