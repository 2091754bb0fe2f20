CREATE SCHEMA other;
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE TABLE tenants (id bigint PRIMARY KEY, name text);
CREATE FUNCTION short(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN left(t, 3); END $$;
CREATE FUNCTION shorter(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT short(t)';
CREATE FUNCTION shortest(t text) RETURNS text LANGUAGE sql IMMUTABLE
SET search_path = public, pg_temp AS 'SELECT short(t)';
CREATE FUNCTION named(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN public.short(t); END $$;
CREATE FUNCTION other.deeper(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RETURN public.shorter(t); END $$;
CREATE FUNCTION bound(t text) RETURNS text LANGUAGE sql IMMUTABLE RETURN short(t);
CREATE FUNCTION bound_above(t text) RETURNS text LANGUAGE sql IMMUTABLE RETURN shorter(t);
CREATE FUNCTION known(tenant bigint) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RETURN tenant IS NULL OR EXISTS (SELECT FROM tenants WHERE id = tenant); END $$;
CREATE FUNCTION is_mood(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RETURN t::mood IS NOT NULL; END $$;
CREATE FUNCTION listed(t text) RETURNS boolean LANGUAGE sql IMMUTABLE
AS 'WITH words (word) AS (VALUES (''a''), (''b'')) SELECT EXISTS (SELECT FROM words WHERE word = lower(t))';
CREATE DOMAIN brief AS text CHECK (shorter(VALUE) <> '');
CREATE TABLE notes (id bigint PRIMARY KEY, body text, tenant_id bigint);
CREATE INDEX notes_body ON notes (shortest(body));
ALTER TABLE notes ADD CONSTRAINT waits CHECK (known(tenant_id)) NOT VALID;
