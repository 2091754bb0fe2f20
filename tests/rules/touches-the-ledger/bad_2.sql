CREATE FUNCTION later() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('UPDATE migrator.schema_migrations SET status = %L', 'success');
END $$;
