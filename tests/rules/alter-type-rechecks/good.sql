ALTER TABLE messages ALTER COLUMN title TYPE text;
