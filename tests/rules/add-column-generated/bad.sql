-- another schema: a plain column and a trigger
ALTER TABLE "Odd Names" ADD COLUMN "twice the key" integer GENERATED ALWAYS AS ("Key" * 2) STORED;
