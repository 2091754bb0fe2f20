CREATE TABLE t (id integer);
ALTER TABLE t ALTER COLUMN id TYPE bigint;
