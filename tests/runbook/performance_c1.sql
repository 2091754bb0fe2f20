SELECT 
    query_start,
    state,
    query,
    now() - query_start as duration
FROM pg_stat_activity 
WHERE application_name = 'migration'
AND state != 'idle'
ORDER BY query_start;
