CREATE TABLE kinds (id serial PRIMARY KEY, name text);
INSERT INTO kinds (name) VALUES ('one');
INSERT INTO kinds VALUES (DEFAULT, 'two');
INSERT INTO kinds SELECT nextval('kinds_id_seq'), 'three';
