CREATE TABLE old_kinds (name text, id int);
CREATE TABLE kinds (name text, id serial PRIMARY KEY);
INSERT INTO kinds SELECT o.* FROM old_kinds AS o LEFT JOIN kinds AS k USING (id);
