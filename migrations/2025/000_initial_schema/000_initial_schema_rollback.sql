-- Rollback: 000_initial_schema
-- Author: database-team@wakala.com
-- Date: 2025-01-05
-- Description: Drop messages, contacts, users and tenants

-- Children before parents: no CASCADE, so that anything built on these tables meanwhile stops the rollback.
DROP TABLE IF EXISTS messages;
DROP TABLE IF EXISTS contacts;
DROP TABLE IF EXISTS users;
DROP TABLE IF EXISTS tenants;
