ALTER TABLE "Odd Names" ADD COLUMN "a weight" integer CONSTRAINT "Is Ok" CHECK ("a weight" > 0) CHECK ("a weight" > "Key");
