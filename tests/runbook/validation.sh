# Dry run on test database
psql -h test-db.wakala.com -U postgres -d wakala_test \
  -f migrations/2025/001_add_analytics_tables.sql \
  --single-transaction \
  --variable ON_ERROR_STOP=1

# Validate results
./scripts/validate-migration.sh \
  --host test-db.wakala.com \
  --database wakala_test \
  --expected-changes schema_changes.yaml
