-- another schema: another type
ALTER TABLE "Odd Names" ADD COLUMN tenant_id smallint;
