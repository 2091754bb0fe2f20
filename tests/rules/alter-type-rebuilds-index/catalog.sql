CREATE TABLE "Notes" (id bigint, "a title" text, body text, code varchar(20));
CREATE INDEX notes_title ON "Notes" ("a title", id);
CREATE INDEX notes_id ON "Notes" (id);
CREATE UNIQUE INDEX notes_code ON "Notes" (lower(code), id) WHERE code <> '';
INSERT INTO "Notes" VALUES (1, 'a', 'b', 'c');
