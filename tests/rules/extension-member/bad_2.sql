ALTER EXTENSION plpgsql DROP FUNCTION plpgsql_validator(oid);
