CREATE TABLE kinds (id serial PRIMARY KEY, name text);
INSERT INTO kinds VALUES (-1, 'unknown'), (0, 'none');
