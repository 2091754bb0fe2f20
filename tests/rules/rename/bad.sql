ALTER TABLE messages RENAME COLUMN body TO text;
