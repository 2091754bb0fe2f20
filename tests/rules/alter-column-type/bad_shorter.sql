-- remains: drop-loses-data, rename (the old column has to go in the end)
ALTER TABLE "Odd Names" ALTER COLUMN code TYPE varchar(10);
