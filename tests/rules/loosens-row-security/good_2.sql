CREATE POLICY own ON messages USING (tenant_id = 1);
ALTER POLICY own ON messages USING (tenant_id = 2);
ALTER POLICY own ON messages RENAME TO theirs;
