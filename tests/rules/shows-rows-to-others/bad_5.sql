CREATE POLICY more ON accounts USING (id = id);
