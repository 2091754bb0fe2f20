-- remains: alter-column-type (the table is written anew)
-- another schema: the sequence is of the column's type
ALTER TABLE narrow ALTER COLUMN id TYPE bigint;
