ALTER TABLE messages ADD COLUMN until timestamptz NOT NULL DEFAULT now() + interval '1 day', ADD COLUMN letter text DEFAULT lower('A');
