CREATE SCHEMA audit;
CREATE FUNCTION audit.dblink(text) RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT audit.dblink('x');
