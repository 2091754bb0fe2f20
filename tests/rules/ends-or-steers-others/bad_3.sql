CREATE FUNCTION f() RETURNS boolean LANGUAGE sql AS 'SELECT pg_cancel_backend(1)';
