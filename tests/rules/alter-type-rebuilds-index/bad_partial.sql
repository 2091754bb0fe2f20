-- remains: rename (the new column takes the name at last)
ALTER TABLE "Notes" ALTER COLUMN code TYPE text;
