ALTER FUNCTION shorter(text) SET search_path = public, pg_temp;
CREATE TABLE fresh (id bigint PRIMARY KEY, body text CHECK (shorter(body) <> ''), title brief);
CREATE TEMPORARY TABLE mine (body text CHECK (bound_above(body) <> ''));
