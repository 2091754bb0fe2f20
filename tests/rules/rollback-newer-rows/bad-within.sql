INSERT INTO messages (id) VALUES (1);
-- rollback
WITH gone AS (DELETE FROM messages WHERE id = 1 RETURNING id) SELECT count(*) FROM gone;
