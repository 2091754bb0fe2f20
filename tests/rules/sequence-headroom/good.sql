ALTER TABLE tenants ADD COLUMN note text;
