CREATE TABLE kept AS TABLE messages;
DELETE FROM messages WHERE size = 0;
-- rollback
TRUNCATE messages;
INSERT INTO messages SELECT * FROM kept;
