-- server: 16-18
-- server version: 160002
DELETE FROM messages WHERE id IN (SELECT 1_000);
