DROP FUNCTION total(integer);
CREATE FUNCTION total(integer) RETURNS integer LANGUAGE sql STABLE STRICT SECURITY DEFINER COST 7
    SET search_path = pg_catalog, pg_temp AS 'SELECT 1';
REVOKE EXECUTE ON FUNCTION total(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION total(integer) TO pg_read_all_data;
