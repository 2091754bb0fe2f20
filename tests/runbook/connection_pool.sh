# Check connection usage
psql -h $DB_HOST -U postgres -d wakala -c "
SELECT 
    datname,
    usename,
    application_name,
    count(*) as connections
FROM pg_stat_activity
GROUP BY datname, usename, application_name
ORDER BY connections DESC;"

# Terminate idle connections
psql -h $DB_HOST -U postgres -d wakala -c "
SELECT pg_terminate_backend(pid)
FROM pg_stat_activity
WHERE datname = 'wakala'
AND state = 'idle'
AND state_change < CURRENT_TIMESTAMP - INTERVAL '10 minutes';"
