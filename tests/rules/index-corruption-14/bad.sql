-- server version: 140002
CREATE INDEX CONCURRENTLY i ON messages (body);
