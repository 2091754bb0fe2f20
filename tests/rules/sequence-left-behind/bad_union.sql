CREATE TABLE kinds (id serial PRIMARY KEY);
INSERT INTO kinds SELECT nextval('kinds_id_seq') UNION ALL SELECT 2;
