-- Migration: 003_index_messages_tenant_created
-- Author: database-team@wakala.com
-- Date: 2025-01-20
-- Description: Index the live messages of a tenant by time

CREATE INDEX CONCURRENTLY idx_messages_tenant_created
    ON messages (tenant_id, created_at)
    WHERE deleted_at IS NULL;
