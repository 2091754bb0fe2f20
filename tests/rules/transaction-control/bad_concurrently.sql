BEGIN;
CREATE INDEX CONCURRENTLY messages_note ON messages (id);
COMMIT;
