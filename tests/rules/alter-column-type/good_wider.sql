ALTER TABLE "Odd Names" ALTER COLUMN code TYPE varchar(30);
