# Monitor migration progress
watch -n 5 "psql -h $DB_HOST -U postgres -d wakala -c \"
SELECT 
    query_start,
    state,
    query,
    now() - query_start as duration
FROM pg_stat_activity 
WHERE application_name = 'migration'
AND state != 'idle'
ORDER BY query_start;\""

# Check table bloat during migration
psql -h $DB_HOST -U postgres -d wakala << EOF
SELECT 
    schemaname,
    tablename,
    pg_size_pretty(pg_total_relation_size(schemaname||'.'||tablename)) as size,
    n_live_tup,
    n_dead_tup,
    round(100.0 * n_dead_tup / NULLIF(n_live_tup + n_dead_tup, 0), 2) as dead_ratio
FROM pg_stat_user_tables
WHERE n_dead_tup > 1000
ORDER BY n_dead_tup DESC;
EOF
