-- server: 18
ALTER TABLE messages ADD CONSTRAINT size_there NOT NULL size NOT VALID;
