-- Migration: 002_messages_analytics_processed
-- Author: database-team@wakala.com
-- Date: 2025-01-16
-- Description: The engine runs this in batches; WHERE is true of the rows that still need it

UPDATE messages
SET analytics_processed = false
WHERE analytics_processed IS NULL;
