DELETE FROM deadlines WHERE due < '2025-07-01';
