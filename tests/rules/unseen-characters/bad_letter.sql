ALTER TABLE messages ADD COLUMN pаid text;
