ALTER FUNCTION f() RESET search_path;
