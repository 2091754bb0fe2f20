-- another schema: another type
CREATE TABLE notes (id bigserial NOT NULL PRIMARY KEY, body text);
