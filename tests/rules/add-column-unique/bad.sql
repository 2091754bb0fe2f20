ALTER TABLE messages ADD COLUMN number integer UNIQUE;
