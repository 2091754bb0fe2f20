-- another schema: another type
CREATE TABLE notes (id bigint PRIMARY KEY, made timestamp(3) DEFAULT now());
