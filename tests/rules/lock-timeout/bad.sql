SET lock_timeout = 0;
ALTER TABLE messages ADD COLUMN note text;
