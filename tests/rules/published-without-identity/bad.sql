-- fails: 55000
UPDATE notes SET body = 'x' WHERE id = 1;
