ALTER TABLE messages ADD COLUMN fee numeric(12, 2);
