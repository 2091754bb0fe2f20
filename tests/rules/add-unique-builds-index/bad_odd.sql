ALTER TABLE "Odd Names" ADD UNIQUE ("Key") INCLUDE ("the value") WITH (fillfactor = 70) DEFERRABLE;
