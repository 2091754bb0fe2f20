CREATE TABLE notes (id bigint, size integer, title text);
CREATE VIEW sizes AS SELECT size FROM notes;
