ALTER TABLE messages ADD COLUMN extra jsonb DEFAULT '{}';
