ALTER TABLE kinds ALTER COLUMN id TYPE bigint;
ALTER SEQUENCE kinds_id_seq AS bigint;
