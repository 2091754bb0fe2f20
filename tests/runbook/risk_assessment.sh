# Analyze migration impact
./scripts/analyze-migration.sh \
  --file migrations/2025/001_add_analytics_tables.sql \
  --estimate-time \
  --check-locks \
  --validate-syntax
