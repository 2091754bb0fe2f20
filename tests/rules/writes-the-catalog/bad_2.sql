DELETE FROM pg_depend;
