-- Migration: 005_add_jsonb_columns
-- Author: database-team@wakala.com
-- Date: 2025-01-28
-- Description: Free attributes of contacts, an object each

-- The default is a constant: PostgreSQL keeps it once for all rows that are there, and reads none of them.
ALTER TABLE contacts ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}';

COMMENT ON COLUMN contacts.metadata IS 'What tenants keep about the contact; an object.';
