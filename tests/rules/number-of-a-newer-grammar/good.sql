-- server version: 140002
DELETE FROM messages WHERE id IN (SELECT 1000) AND body <> '1_000 and 0x10'; -- 1_000
