ALTER TABLE messages ADD COLUMN seen timestamptz DEFAULT now();
