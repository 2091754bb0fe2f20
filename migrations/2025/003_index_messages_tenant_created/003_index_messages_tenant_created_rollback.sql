-- Rollback: 003_index_messages_tenant_created
-- Author: database-team@wakala.com
-- Date: 2025-01-20
-- Description: Drop the index on messages again

DROP INDEX CONCURRENTLY IF EXISTS idx_messages_tenant_created;
