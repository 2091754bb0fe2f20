SELECT 
    pid,
    usename,
    application_name,
    client_addr,
    query_start,
    state_change,
    wait_event_type,
    wait_event,
    query
FROM pg_stat_activity
WHERE pid IN (
    SELECT pid FROM pg_locks WHERE granted = false
)
OR pid IN (
    SELECT blocking_pid 
    FROM (
        SELECT 
            kl.pid as blocking_pid,
            bl.pid as blocked_pid
        FROM pg_catalog.pg_locks bl
        JOIN pg_catalog.pg_locks kl 
            ON kl.transactionid = bl.transactionid 
            AND kl.pid != bl.pid
        WHERE NOT bl.granted
    ) AS blocking
);
