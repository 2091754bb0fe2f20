CREATE OR REPLACE FUNCTION total(integer) RETURNS integer LANGUAGE sql STABLE STRICT SECURITY DEFINER COST 7
    SET search_path = pg_catalog, pg_temp AS 'SELECT 1';
