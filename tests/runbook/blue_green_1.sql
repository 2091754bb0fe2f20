CREATE SCHEMA green;

-- Replicate structure
SELECT 'CREATE TABLE green.' || tablename || ' (LIKE public.' || tablename || ' INCLUDING ALL);'
FROM pg_tables 
WHERE schemaname = 'public'
\gexec

-- Apply migrations to green schema
\i migrations/2025/001_schema_changes.sql
