CREATE TABLE old_kinds (name text, id int);
CREATE TABLE kinds (name text, id serial PRIMARY KEY);
WITH moved AS (INSERT INTO kinds (name, id) SELECT name, id FROM old_kinds RETURNING id)
SELECT count(*) FROM moved;
