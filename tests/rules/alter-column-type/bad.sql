-- remains: drop-loses-data, rename (the old column has to go in the end)
ALTER TABLE "Odd Names" ALTER COLUMN "the size" TYPE bigint;
