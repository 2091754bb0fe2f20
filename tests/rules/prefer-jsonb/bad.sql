-- another schema: another type
ALTER TABLE messages ADD COLUMN extra json DEFAULT '{}';
