INSERT INTO messages (id) VALUES (1);
-- rollback
MERGE INTO messages AS m USING (VALUES (1)) AS v (id) ON m.id = v.id WHEN MATCHED THEN DELETE;
