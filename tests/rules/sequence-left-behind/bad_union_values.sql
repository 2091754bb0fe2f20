CREATE TABLE kinds (id serial PRIMARY KEY);
INSERT INTO kinds VALUES (nextval('kinds_id_seq')) UNION ALL VALUES (7);
