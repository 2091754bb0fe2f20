CREATE POLICY everybody ON messages USING (1 = 1);
