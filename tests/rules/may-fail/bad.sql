-- connection
-- fails: 42P01
ALTER TABLE no_such_table ADD COLUMN note text;
