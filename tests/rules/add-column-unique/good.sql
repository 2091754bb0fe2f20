ALTER TABLE messages ADD COLUMN number integer;
