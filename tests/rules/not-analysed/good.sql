DO $$
BEGIN
  EXECUTE 'ANALYZE messages';
END $$;
