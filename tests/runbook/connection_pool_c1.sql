SELECT 
    datname,
    usename,
    application_name,
    count(*) as connections
FROM pg_stat_activity
GROUP BY datname, usename, application_name
ORDER BY connections DESC;
