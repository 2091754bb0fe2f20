ALTER TABLE messages ALTER COLUMN id TYPE bigint;
