-- remains: rename (the new column takes the name at last)
ALTER TABLE parted ALTER COLUMN size TYPE bigint;
