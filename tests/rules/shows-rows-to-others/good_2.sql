ALTER POLICY own ON alone USING (owner IS NOT NULL);
CREATE POLICY strict ON accounts AS RESTRICTIVE USING (id > 0);
CREATE TABLE fresh (id integer, owner text);
ALTER TABLE fresh ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON fresh USING (owner = current_user);
CREATE OR REPLACE FUNCTION inner_helper() RETURNS text LANGUAGE sql
AS $$SELECT card FROM public.secret LIMIT 1$$;
