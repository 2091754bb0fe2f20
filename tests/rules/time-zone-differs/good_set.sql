SET LOCAL timezone = 'Europe/Berlin';
UPDATE deadlines SET due = '2025-07-01 00:00' WHERE id = 1;
