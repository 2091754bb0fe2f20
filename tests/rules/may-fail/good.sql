ALTER TABLE messages ADD COLUMN note text;
