-- fails: 0A000
ALTER TABLE notes ALTER COLUMN size TYPE bigint;
