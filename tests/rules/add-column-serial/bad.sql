ALTER TABLE messages ADD COLUMN number bigserial;
