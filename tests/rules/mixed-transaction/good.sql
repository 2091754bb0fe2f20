SET lock_timeout = '1s';
CREATE INDEX CONCURRENTLY i ON messages (body);
