SELECT pg_terminate_backend(pid)
FROM pg_stat_activity
WHERE datname = 'wakala'
AND state = 'idle'
AND state_change < CURRENT_TIMESTAMP - INTERVAL '10 minutes';
