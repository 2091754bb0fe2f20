INSERT INTO schema_migrations (version, filename, applied_at) 
      VALUES ('$(basename $MIGRATION_FILE)', '$MIGRATION_FILE', NOW());
