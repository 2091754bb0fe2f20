ALTER TABLE messages ALTER COLUMN body TYPE varchar(400);
-- rollback
ALTER TABLE messages ALTER COLUMN body TYPE text USING left(body, 100);
