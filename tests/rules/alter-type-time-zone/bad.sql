ALTER TABLE notes ALTER COLUMN made TYPE timestamptz;
