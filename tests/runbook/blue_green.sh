# Create green schema
psql -h $DB_HOST -U postgres -d wakala << EOF
CREATE SCHEMA green;

-- Replicate structure
SELECT 'CREATE TABLE green.' || tablename || ' (LIKE public.' || tablename || ' INCLUDING ALL);'
FROM pg_tables 
WHERE schemaname = 'public'
\gexec

-- Apply migrations to green schema
\i migrations/2025/001_schema_changes.sql
EOF

# Switch application to green schema
kubectl set env deployment/wakala-api \
  DB_SCHEMA=green \
  -n production

# After validation, make green the new public
psql -h $DB_HOST -U postgres -d wakala << EOF
BEGIN;
ALTER SCHEMA public RENAME TO blue;
ALTER SCHEMA green RENAME TO public;
COMMIT;
EOF
