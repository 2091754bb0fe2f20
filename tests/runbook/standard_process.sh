#!/bin/bash
# Standard migration execution

MIGRATION_FILE=$1
DB_HOST=${DB_HOST:-prod-db.wakala.com}
DB_NAME=${DB_NAME:-wakala}

# Pre-migration snapshot
echo "Creating pre-migration snapshot..."
pg_dump -h $DB_HOST -U postgres -d $DB_NAME \
  -f /backup/pre-migration-$(date +%Y%m%d-%H%M%S).sql

# Execute migration
echo "Executing migration..."
psql -h $DB_HOST -U postgres -d $DB_NAME \
  -f $MIGRATION_FILE \
  --single-transaction \
  --variable ON_ERROR_STOP=1 \
  -c "INSERT INTO schema_migrations (version, filename, applied_at) 
      VALUES ('$(basename $MIGRATION_FILE)', '$MIGRATION_FILE', NOW());"

# Verify migration
echo "Verifying migration..."
psql -h $DB_HOST -U postgres -d $DB_NAME \
  -c "SELECT * FROM schema_migrations ORDER BY applied_at DESC LIMIT 1;"
