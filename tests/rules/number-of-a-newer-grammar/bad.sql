-- server version: 140002
DELETE FROM messages WHERE id IN (SELECT 1_000);
