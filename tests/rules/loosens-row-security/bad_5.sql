CREATE POLICY own ON messages TO CURRENT_USER USING (tenant_id = 1);
ALTER POLICY own ON messages TO PUBLIC;
