CREATE TABLE kinds (name text, id serial PRIMARY KEY);
WITH moved AS (INSERT INTO kinds (name, id) VALUES ('seven', 7) RETURNING id)
SELECT setval('kinds_id_seq', max(id)) FROM moved;
