SET LOCAL lock_timeout = '2s';
ALTER TABLE messages ADD COLUMN note text;
