ALTER POLICY own ON accounts USING (owner IS NOT NULL);
