-- Always include in migrations:

-- Header comment
-- Migration: 001_add_analytics_tables
-- Author: team@wakala.com
-- Date: 2025-01-10
-- Description: Add tables for message analytics

-- Transaction wrapper
BEGIN;

-- Version check
DO $$
BEGIN
  IF EXISTS (
    SELECT 1 FROM schema_migrations 
    WHERE version = '001_add_analytics_tables'
  ) THEN
    RAISE EXCEPTION 'Migration already applied';
  END IF;
END $$;

-- Migration logic here
CREATE TABLE ...

-- Record migration
INSERT INTO schema_migrations (version, filename, checksum, applied_at)
VALUES (
  '001_add_analytics_tables',
  '2025/001_add_analytics_tables.sql',
  md5(pg_read_file('2025/001_add_analytics_tables.sql')),
  NOW()
);

COMMIT;
