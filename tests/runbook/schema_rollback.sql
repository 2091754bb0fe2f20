-- Example rollback script for table creation
-- Original migration: 001_add_analytics_tables.sql
-- This is: 001_add_analytics_tables_rollback.sql

BEGIN;

-- Drop foreign keys first
ALTER TABLE message_analytics 
DROP CONSTRAINT IF EXISTS fk_message_analytics_message;

ALTER TABLE message_analytics 
DROP CONSTRAINT IF EXISTS fk_message_analytics_tenant;

-- Drop indexes
DROP INDEX IF EXISTS idx_message_analytics_tenant_date;
DROP INDEX IF EXISTS idx_message_analytics_message;

-- Drop tables
DROP TABLE IF EXISTS message_analytics CASCADE;
DROP TABLE IF EXISTS analytics_summary CASCADE;

-- Remove migration record
DELETE FROM schema_migrations 
WHERE version = '001_add_analytics_tables';

COMMIT;
