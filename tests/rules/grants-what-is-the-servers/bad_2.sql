GRANT SELECT ON pg_catalog.pg_statistic TO app;
