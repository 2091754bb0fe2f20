-- remains: rename (the new column takes the name at last)
ALTER TABLE children ALTER COLUMN parent TYPE bigint;
