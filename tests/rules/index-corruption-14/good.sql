-- server version: 140004
CREATE INDEX CONCURRENTLY i ON messages (body);
