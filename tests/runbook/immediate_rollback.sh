# If migration fails during execution
psql -h $DB_HOST -U postgres -d wakala << EOF
-- Check last successful migration
SELECT * FROM schema_migrations 
WHERE status = 'success' 
ORDER BY applied_at DESC 
LIMIT 1;

-- Execute rollback script
\i migrations/2025/001_add_analytics_tables_rollback.sql

-- Mark migration as failed
UPDATE schema_migrations 
SET status = 'failed', 
    failed_at = NOW(), 
    error_message = 'Manual rollback executed'
WHERE version = '001_add_analytics_tables';
EOF
