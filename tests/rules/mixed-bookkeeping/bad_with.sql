WITH gone AS (DELETE FROM messages WHERE id < 0 RETURNING id)
INSERT INTO schema_migrations (version, rows) SELECT '001_t', count(*) FROM gone;
