ALTER TABLE messages ALTER COLUMN code TYPE text;
