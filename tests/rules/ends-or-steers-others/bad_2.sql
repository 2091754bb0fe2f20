DO $$ BEGIN PERFORM pg_reload_conf(); END $$;
