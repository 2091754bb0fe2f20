CREATE TABLE notes (id bigint PRIMARY KEY, made timestamptz DEFAULT now());
