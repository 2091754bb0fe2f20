ALTER TABLE messages ADD COLUMN owner bigint;
