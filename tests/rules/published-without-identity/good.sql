UPDATE drafts SET body = 'x' WHERE id = 1;
UPDATE heard SET body = 'x' WHERE id = 1;
DELETE FROM apart WHERE id = 1;
INSERT INTO notes VALUES (1, 'x');
ALTER TABLE notes REPLICA IDENTITY FULL;
UPDATE notes SET body = 'x' WHERE id = 1;
