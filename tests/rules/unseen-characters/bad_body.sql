DO $$ BEGIN CREATE TABLE shops⁠ (id bigint PRIMARY KEY); END $$;
