ALTER TABLE messages ADD COLUMN note text;
SELECT pg_sleep(0.01);
