ALTER TABLE "Odd Names" ADD COLUMN "a token" uuid DEFAULT gen_random_uuid(), ADD COLUMN luck double precision DEFAULT random();
