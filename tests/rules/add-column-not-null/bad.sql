ALTER TABLE messages ADD COLUMN kind text NOT NULL;
