ALTER TABLE notes ADD COLUMN size plain;
