CREATE TABLE notes (id bigint PRIMARY KEY, size integer);
