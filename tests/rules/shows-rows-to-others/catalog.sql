CREATE TABLE parent (id integer, card text);
CREATE TABLE parts (id integer, card text) PARTITION BY LIST (id);
CREATE TABLE closed (id integer, card text);
CREATE TABLE secret (id integer NOT NULL, card text, CHECK (id = 1));
CREATE TABLE known (id integer, card text);
CREATE VIEW readable AS SELECT 1 AS id, 'public'::text AS card;
CREATE VIEW private AS SELECT 1 AS id, 'public'::text AS card;
CREATE TABLE accounts (id integer, owner text);
ALTER TABLE accounts ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON accounts USING (owner = current_user);
CREATE TABLE alone (id integer, owner text);
ALTER TABLE alone ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON alone USING (owner = current_user);
CREATE FUNCTION helper() RETURNS text LANGUAGE sql AS $$SELECT 'nothing'::text$$;
CREATE FUNCTION door() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'SELECT public.helper()';
CREATE FUNCTION inner_helper() RETURNS text LANGUAGE sql AS $$SELECT 'nothing'::text$$;
CREATE FUNCTION shut() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'SELECT public.inner_helper()';
REVOKE EXECUTE ON FUNCTION shut() FROM PUBLIC;
GRANT SELECT ON parent, parts, readable, accounts, known TO PUBLIC;
