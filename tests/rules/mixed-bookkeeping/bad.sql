DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM schema_migrations WHERE version = '001_t') THEN
    ALTER TABLE messages ADD COLUMN note text;
  END IF;
END $$;
