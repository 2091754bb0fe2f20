-- Migration: 002_messages_analytics_processed
-- Author: database-team@wakala.com
-- Date: 2025-01-16
-- Description: NOT NULL without reading the table under a lock: the validated constraint proves it

ALTER TABLE messages
ADD CONSTRAINT ck_messages_analytics_processed CHECK (analytics_processed IS NOT NULL) NOT VALID;

ALTER TABLE messages VALIDATE CONSTRAINT ck_messages_analytics_processed;

ALTER TABLE messages ALTER COLUMN analytics_processed SET NOT NULL;

ALTER TABLE messages DROP CONSTRAINT ck_messages_analytics_processed;
