-- server: 15
CREATE TABLE old_kinds (name text, id int);
CREATE TABLE kinds (name text, id serial PRIMARY KEY);
MERGE INTO kinds AS k USING old_kinds AS o ON k.id = o.id WHEN NOT MATCHED THEN INSERT (name, id) VALUES (o.name, o.id);
