ALTER TABLE "Odd Names" ADD COLUMN "a number" serial PRIMARY KEY;
