-- another schema: a B-tree instead
CREATE INDEX CONCURRENTLY i ON messages USING hash (body);
