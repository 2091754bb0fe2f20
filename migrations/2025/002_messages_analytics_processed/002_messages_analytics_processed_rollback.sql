-- Migration: 002_messages_analytics_processed
-- Author: database-team@wakala.com
-- Date: 2025-01-16
-- Description: Remove the column; the application must not read it any more

ALTER TABLE messages DROP COLUMN analytics_processed;
