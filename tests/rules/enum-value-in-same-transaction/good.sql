ALTER TYPE mood ADD VALUE 'fine';
UPDATE people SET mood = 'bad' WHERE id = 1;
