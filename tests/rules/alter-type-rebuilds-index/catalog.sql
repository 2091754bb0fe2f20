CREATE TABLE "Notes" (id bigint, "a title" text, body text);
CREATE INDEX notes_title ON "Notes" ("a title", id);
CREATE INDEX notes_id ON "Notes" (id);
INSERT INTO "Notes" VALUES (1, 'a', 'b');
