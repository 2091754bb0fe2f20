CREATE TABLE notes (id bigint PRIMARY KEY, body text);
CREATE TABLE drafts (id bigint PRIMARY KEY, body text);
CREATE PUBLICATION app FOR TABLE notes;
