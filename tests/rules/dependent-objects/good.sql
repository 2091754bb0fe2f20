ALTER TABLE notes ALTER COLUMN title TYPE varchar;
