CREATE DOMAIN positive AS integer;
CREATE TABLE notes (id bigint, size positive);
