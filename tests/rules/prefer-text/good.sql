CREATE TABLE notes (id bigint PRIMARY KEY, title text CHECK (length(title) <= 50), body varchar);
