INSERT INTO messages (id, body) VALUES (9, 'Dear
Sir');
