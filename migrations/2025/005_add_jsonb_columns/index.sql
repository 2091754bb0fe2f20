-- Migration: 005_add_jsonb_columns
-- Author: database-team@wakala.com
-- Date: 2025-01-28
-- Description: Find messages by what their metadata contains

CREATE INDEX CONCURRENTLY idx_messages_metadata
    ON messages USING gin (metadata jsonb_path_ops)
    WHERE deleted_at IS NULL;
