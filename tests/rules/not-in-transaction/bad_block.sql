-- fails: 25001
DO $$
BEGIN
  VACUUM messages;
END $$;
