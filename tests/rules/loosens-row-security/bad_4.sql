DROP POLICY own ON messages;
