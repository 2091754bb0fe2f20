LOCK TABLE messages IN SHARE MODE;
UPDATE messages SET body = '' WHERE id = 1;
