CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, "$user", pg_temp AS 'SELECT 1';
