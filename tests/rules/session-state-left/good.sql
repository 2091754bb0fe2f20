SET search_path = app;
SELECT 1;
RESET search_path;
SET LOCAL TimeZone = 'UTC';
SET lock_timeout = '2s';
