CREATE TABLE notes (id bigint);
-- rollback
DROP TABLE notes;
