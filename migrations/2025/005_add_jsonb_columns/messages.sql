-- Migration: 005_add_jsonb_columns
-- Author: database-team@wakala.com
-- Date: 2025-01-28
-- Description: Free attributes of messages, an object each

-- In a step of its own, so that nobody waits for both tables at once.
ALTER TABLE messages ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}';

COMMENT ON COLUMN messages.metadata IS 'What the channel said about the message; an object.';
