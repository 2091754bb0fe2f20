CREATE TABLE t (LIKE events);
ALTER TABLE t ADD CONSTRAINT bound CHECK (happened >= '2025-01-01' AND happened < '2026-01-01');
