CREATE TABLE tenants (id bigint PRIMARY KEY);
CREATE TABLE "Notes" (id bigint, "tenant id" bigint, other bigint);
CREATE INDEX notes_other ON "Notes" (other, id);
