-- remains: rename (the new column takes the name at last)
-- another schema: the sequence is of the column's type
ALTER TABLE children ALTER COLUMN number TYPE bigint;
