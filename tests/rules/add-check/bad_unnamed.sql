ALTER TABLE "Odd Names" ADD CHECK ("Key" > 0), ADD COLUMN more text;
