CREATE FUNCTION told() RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE (SELECT body FROM messages WHERE id = 1);
    RETURN 1;
END $$;
CREATE FUNCTION counted(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN $1;
EXCEPTION WHEN OTHERS THEN
    RETURN told();
END $$;
CREATE TABLE counts (id integer PRIMARY KEY);
CREATE INDEX counts_counted ON counts (counted(id));
