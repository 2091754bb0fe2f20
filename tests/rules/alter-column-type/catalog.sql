CREATE TABLE "Odd Names" (
    "Key" integer PRIMARY KEY,
    "the size" integer NOT NULL DEFAULT 7 CONSTRAINT "Is Positive" CHECK ("the size" > 0),
    code varchar(20) UNIQUE,
    made text
);
CREATE INDEX "By Size" ON "Odd Names" ("the size", code) WHERE "the size" > 5;
CREATE INDEX ON "Odd Names" ((lower(made)));
INSERT INTO "Odd Names" VALUES (1, 10, 'x', '2024-01-01'), (2, 11, 'y', '2024-01-02');
CREATE TABLE parents (id bigint PRIMARY KEY);
CREATE TABLE children (
    number serial,
    parent integer NOT NULL REFERENCES parents ON DELETE CASCADE,
    name text
);
CREATE INDEX ON children (parent);
INSERT INTO parents VALUES (1), (2);
INSERT INTO children (parent) VALUES (1), (2);
CREATE TABLE parted (id integer NOT NULL, size integer NOT NULL DEFAULT 3) PARTITION BY RANGE (id);
CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (10) TO (20);
INSERT INTO parted VALUES (1, 1), (11, 2);
