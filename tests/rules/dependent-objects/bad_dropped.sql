-- fails: 2BP01
ALTER TABLE notes DROP COLUMN size;
