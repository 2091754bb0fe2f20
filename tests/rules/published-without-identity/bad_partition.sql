-- fails: 55000
DELETE FROM parts_1 WHERE id = 1;
