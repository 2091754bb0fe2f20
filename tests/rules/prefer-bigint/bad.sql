-- another schema: another type
CREATE TABLE notes (id integer PRIMARY KEY, size integer);
