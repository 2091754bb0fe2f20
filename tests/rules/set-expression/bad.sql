-- server: 17
-- another schema: a trigger computes the column
-- remains: rename (the new column takes the name at last)
ALTER TABLE notes ALTER COLUMN twice SET EXPRESSION AS (id + id);
