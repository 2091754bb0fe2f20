ALTER TABLE messages ADD COLUMN note text;
CREATE INDEX CONCURRENTLY i ON messages (note);
