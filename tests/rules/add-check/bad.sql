ALTER TABLE messages ADD CONSTRAINT positive CHECK (size > 0);
