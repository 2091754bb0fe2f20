CREATE SEQUENCE new_numbers;
ALTER TABLE kinds ALTER COLUMN id SET DEFAULT nextval('new_numbers');
ALTER TABLE kinds ALTER COLUMN id TYPE bigint;
