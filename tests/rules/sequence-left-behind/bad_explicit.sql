CREATE TABLE kinds (id serial PRIMARY KEY, name text);
INSERT INTO kinds VALUES (1, 'one'), (2, 'two');
