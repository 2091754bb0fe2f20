ALTER TABLE messages ALTER COLUMN size TYPE bigint;
