SET search_path = app;
SELECT 1;
