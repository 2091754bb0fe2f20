ALTER TABLE messages ADD COLUMN note text;
ALTER TABLE tenants ADD COLUMN note text;
