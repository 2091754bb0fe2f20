ALTER TABLE notes ALTER COLUMN made TYPE timestamptz USING made AT TIME ZONE 'Europe/Berlin';
