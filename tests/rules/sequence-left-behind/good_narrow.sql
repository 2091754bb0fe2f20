CREATE TABLE old_kinds (name text);
CREATE TABLE kinds (name text, id serial PRIMARY KEY);
INSERT INTO kinds SELECT * FROM old_kinds;
INSERT INTO kinds TABLE old_kinds UNION SELECT o.* FROM old_kinds AS o;
