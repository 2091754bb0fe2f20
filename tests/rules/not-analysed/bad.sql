DO $$
DECLARE
  name text;
BEGIN
  FOR name IN SELECT relname FROM pg_class LOOP
    EXECUTE format('ANALYZE %I', name);
  END LOOP;
END $$;
