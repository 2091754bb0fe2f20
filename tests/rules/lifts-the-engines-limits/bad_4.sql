DO $$ BEGIN PERFORM set_config(relname, '0', true) FROM pg_class WHERE relname = 'lock_timeout'; END $$;
