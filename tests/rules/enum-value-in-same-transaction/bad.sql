ALTER TYPE mood ADD VALUE 'fine';
UPDATE people SET mood = 'fine'::mood WHERE id = 1;
