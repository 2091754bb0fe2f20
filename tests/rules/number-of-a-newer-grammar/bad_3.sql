DELETE FROM messages WHERE id IN (VALUES (0b1), (1e1_0::bigint));
