ALTER TABLE messages ADD COLUMN note text;
CREATE INDEX i ON tenants (name);
