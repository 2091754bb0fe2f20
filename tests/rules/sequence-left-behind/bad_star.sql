CREATE TABLE old_kinds (name text, id int);
CREATE TABLE kinds (name text, id serial PRIMARY KEY);
INSERT INTO kinds SELECT * FROM old_kinds;
