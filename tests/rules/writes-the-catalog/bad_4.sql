TRUNCATE pg_catalog.pg_statistic;
