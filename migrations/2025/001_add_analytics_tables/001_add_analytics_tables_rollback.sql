-- Rollback: 001_add_analytics_tables
-- Author: database-team@wakala.com
-- Date: 2025-01-10
-- Description: Drop the tables of the message analytics feature

-- Foreign keys first: dropping them locks messages and tenants only for a moment.
ALTER TABLE IF EXISTS message_analytics DROP CONSTRAINT IF EXISTS fk_message_analytics_message;
ALTER TABLE IF EXISTS message_analytics DROP CONSTRAINT IF EXISTS fk_message_analytics_tenant;
ALTER TABLE IF EXISTS analytics_summary DROP CONSTRAINT IF EXISTS fk_analytics_summary_tenant;

DROP INDEX IF EXISTS idx_message_analytics_tenant_date;
DROP INDEX IF EXISTS idx_message_analytics_message;

-- No CASCADE: whatever was built on these tables meanwhile must stop the rollback, not vanish with it.
DROP TABLE IF EXISTS message_analytics;
DROP TABLE IF EXISTS analytics_summary;
