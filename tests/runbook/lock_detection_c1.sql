SELECT pg_terminate_backend($BLOCKING_PID);
