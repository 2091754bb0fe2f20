ALTER TABLE messages ADD COLUMN weight integer DEFAULT 1;
