CREATE TABLE kinds (id serial PRIMARY KEY, name text);
INSERT INTO kinds VALUES (7, 'seven');
SELECT setval('public.kinds_id_seq', 7);
