-- server: 17
ALTER TABLE notes ALTER COLUMN twice SET EXPRESSION AS (id + id);
