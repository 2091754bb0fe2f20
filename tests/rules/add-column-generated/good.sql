-- server: 18
ALTER TABLE "Odd Names" ADD COLUMN "twice the key" integer GENERATED ALWAYS AS ("Key" * 2) VIRTUAL;
