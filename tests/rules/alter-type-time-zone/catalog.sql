CREATE TABLE notes (made timestamp, seen timestamp);
INSERT INTO notes VALUES ('2024-01-01', '2024-01-01');
