CREATE TABLE notes (id bigint PRIMARY KEY);

---- create above / drop below ----

DROP TABLE notes;
