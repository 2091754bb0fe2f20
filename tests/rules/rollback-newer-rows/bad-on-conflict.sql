UPDATE messages SET size = size * 100;
-- rollback
INSERT INTO messages (id, size) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET size = excluded.size;
