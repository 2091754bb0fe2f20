ALTER TABLE messages ADD COLUMN number bigint;
