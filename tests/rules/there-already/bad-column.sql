-- connection
ALTER TABLE messages ADD COLUMN IF NOT EXISTS body varchar(10), ADD COLUMN IF NOT EXISTS size integer NOT NULL DEFAULT 1;
