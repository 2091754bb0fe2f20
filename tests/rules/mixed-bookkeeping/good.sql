DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM schema_migrations WHERE version = '001_t') THEN
    RAISE EXCEPTION 'Migration already applied';
  END IF;
END $$;
ALTER TABLE messages ADD COLUMN note text;
