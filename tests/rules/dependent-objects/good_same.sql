DROP VIEW sizes;
ALTER TABLE notes ALTER COLUMN size TYPE bigint;
CREATE VIEW sizes AS SELECT size FROM notes;
