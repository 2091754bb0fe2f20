-- remains: will-fail (what else the file drops is not looked at, each statement of it stands in a file of its own)
-- another schema: what is kept
DROP FUNCTION total(integer);
CREATE FUNCTION total(integer) RETURNS integer LANGUAGE sql STABLE STRICT SECURITY DEFINER COST 7
    SET search_path = pg_catalog, pg_temp AS 'SELECT 2';
