# Restore to specific point before migration
RESTORE_TIME="2025-01-10 14:00:00+00"

# Create new instance from backup
aws rds restore-db-instance-to-point-in-time \
  --source-db-instance-identifier wakala-prod \
  --target-db-instance-identifier wakala-prod-restore \
  --restore-time $RESTORE_TIME

# Verify restored data
psql -h wakala-prod-restore.xxx.rds.amazonaws.com \
  -U postgres -d wakala \
  -c "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'public';"

# Switch application to restored instance
kubectl set env deployment/wakala-api \
  DB_HOST=wakala-prod-restore.xxx.rds.amazonaws.com \
  -n production
