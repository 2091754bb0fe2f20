-- Rollback: 005_add_jsonb_columns
-- Author: database-team@wakala.com
-- Date: 2025-01-28
-- Description: Remove index and columns; the application must not read them any more

DROP INDEX CONCURRENTLY IF EXISTS idx_messages_metadata;

ALTER TABLE messages DROP COLUMN IF EXISTS metadata;

ALTER TABLE contacts DROP COLUMN IF EXISTS metadata;
