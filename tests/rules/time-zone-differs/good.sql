UPDATE deadlines SET due = '2025-07-01 00:00+02' WHERE id = 1;
INSERT INTO deadlines (id, day) VALUES (3, '2025-07-01');
