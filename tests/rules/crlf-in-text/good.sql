-- Windows
INSERT INTO messages (id, body)
VALUES (9, E'Dear\r\nSir');
