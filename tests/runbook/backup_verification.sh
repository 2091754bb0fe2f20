# Verify recent backup exists
aws rds describe-db-snapshots \
  --db-instance-identifier wakala-prod \
  --query 'DBSnapshots[0].[DBSnapshotIdentifier,SnapshotCreateTime,Status]'

# Create fresh backup
aws rds create-db-snapshot \
  --db-instance-identifier wakala-prod \
  --db-snapshot-identifier pre-migration-$(date +%Y%m%d-%H%M%S)

# Test backup restoration (on separate instance)
./scripts/test-backup-restoration.sh \
  --snapshot-id $SNAPSHOT_ID \
  --test-instance wakala-migration-test
