CREATE TABLE mine (id int);
UPDATE mine SET id = 2 WHERE id = 1;
