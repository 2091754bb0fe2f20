CREATE TABLE "Odd Names" (
    "Key" integer PRIMARY KEY,
    "the size" integer NOT NULL DEFAULT 7 CONSTRAINT "Is Positive" CHECK ("the size" > 0),
    code varchar(20) UNIQUE,
    made text
);
CREATE INDEX "By Size" ON "Odd Names" ("the size", code) WHERE "the size" > 5;
CREATE INDEX ON "Odd Names" ((lower(made)));
INSERT INTO "Odd Names" VALUES (1, 10, 'x', '2024-01-01'), (2, 11, 'y', '2024-01-02');
