CREATE FUNCTION f() RETURNS int LANGUAGE sql SET session_preload_libraries = 'other' AS 'SELECT 1';
