-- another schema: another type
ALTER TABLE messages ADD COLUMN fee money;
