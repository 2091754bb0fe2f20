SET timezone = 'Europe/Berlin';
ALTER TABLE notes ALTER COLUMN made TYPE timestamptz;
