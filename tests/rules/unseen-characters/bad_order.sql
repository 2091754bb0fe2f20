-- ‮ only a comment
ALTER TABLE messages ADD COLUMN note text;
