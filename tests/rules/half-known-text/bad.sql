DO $$
DECLARE
    attributes text := current_setting('app.attributes', true);
BEGIN
    EXECUTE 'ALTER ROLE app ' || attributes;
END $$;
