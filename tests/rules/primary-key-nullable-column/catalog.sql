CREATE TABLE notes (id bigint, there bigint NOT NULL);
CREATE UNIQUE INDEX notes_id ON notes (id);
CREATE UNIQUE INDEX notes_there ON notes (there);
