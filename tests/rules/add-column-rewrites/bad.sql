ALTER TABLE messages ADD COLUMN token uuid DEFAULT gen_random_uuid();
