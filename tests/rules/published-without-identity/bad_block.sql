-- fails: 55000
DO $$ BEGIN DELETE FROM notes WHERE id = 1; END $$;
