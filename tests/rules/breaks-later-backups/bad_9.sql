-- another schema: the function keeps a path of its own
-- remains: loses-rights (it says nothing of what it lost)
CREATE OR REPLACE FUNCTION shortest(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT shorter(t)';
