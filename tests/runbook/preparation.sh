# Create migration ticket
./scripts/create-migration-ticket.sh \
  --title "Add analytics tables" \
  --reviewer "db-team" \
  --scheduled "2025-01-15 02:00 UTC"

# Review checklist
- [ ] Migration script reviewed by 2+ engineers
- [ ] Rollback script prepared and tested
- [ ] Performance impact assessed
- [ ] Backup verified and recent
- [ ] Maintenance window scheduled
- [ ] Stakeholders notified
- [ ] Monitoring alerts configured
