CREATE OPERATOR ## (FUNCTION = pg_catalog.pg_read_file, RIGHTARG = text);
