# Always test on:
1. Local development database
2. Staging environment (full data copy)
3. Migration-specific test instance
4. Performance test with production data volume

# Automated tests
./scripts/test-migration.sh \
  --migration-file $MIGRATION \
  --test-rollback \
  --test-performance \
  --test-concurrent-access
