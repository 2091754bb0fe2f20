ALTER TABLE numbered ALTER COLUMN id TYPE bigint;
