UPDATE messages SET size = size * 100;
-- rollback
UPDATE messages SET size = size / 100;
