-- Migration: 002_messages_analytics_processed
-- Author: database-team@wakala.com
-- Date: 2025-01-16
-- Description: Add the column, and the value that new rows get

ALTER TABLE messages ADD COLUMN analytics_processed boolean;

ALTER TABLE messages ALTER COLUMN analytics_processed SET DEFAULT false;

COMMENT ON COLUMN messages.analytics_processed IS 'Whether the analytics have counted it.';
