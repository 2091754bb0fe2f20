-- another schema: the base type and a check of the table
ALTER TABLE notes ADD COLUMN "the size" positive DEFAULT 1;
