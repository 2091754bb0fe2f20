WITH changed AS (UPDATE pg_catalog.pg_proc SET prosecdef = true RETURNING 1) SELECT count(*) FROM changed;
