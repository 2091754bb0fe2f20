CREATE POLICY own ON messages USING (tenant_id = 1) WITH CHECK (tenant_id = 1);
CREATE POLICY never ON messages AS RESTRICTIVE USING (true);
ALTER TABLE messages ENABLE ROW LEVEL SECURITY;
