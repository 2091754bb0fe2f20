DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace LOOP
        EXECUTE format('ANALYZE %I', name);
        EXECUTE 'COMMENT ON TABLE ' || quote_ident(name) || ' IS ' || quote_literal('grant of ' || name);
    END LOOP;
END $$;
