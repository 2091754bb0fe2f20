DO $$ BEGIN PERFORM lo_export(1, '/tmp/x'); END $$;
