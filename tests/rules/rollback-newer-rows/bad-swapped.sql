-- connection
CREATE TABLE messages_new (LIKE messages);
INSERT INTO messages_new SELECT * FROM messages;
ALTER TABLE messages RENAME TO messages_old;
ALTER TABLE messages_new RENAME TO messages;
-- rollback
DROP TABLE messages;
ALTER TABLE messages_old RENAME TO messages;
