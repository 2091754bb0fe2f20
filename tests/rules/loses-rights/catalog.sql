CREATE TABLE t (id integer PRIMARY KEY, secret text);
CREATE FUNCTION total(integer) RETURNS integer LANGUAGE sql STABLE STRICT SECURITY DEFINER COST 7
    SET search_path = pg_catalog, pg_temp AS 'SELECT 1';
REVOKE EXECUTE ON FUNCTION total(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION total(integer) TO pg_read_all_data;
CREATE VIEW v WITH (security_barrier) AS SELECT id FROM t;
CREATE VIEW w AS SELECT id FROM t;
GRANT SELECT ON w TO pg_read_all_data;
COMMENT ON VIEW w IS 'of all';
CREATE MATERIALIZED VIEW m AS SELECT id FROM t;
GRANT SELECT ON m TO pg_read_all_data;
