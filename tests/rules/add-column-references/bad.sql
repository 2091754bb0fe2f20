ALTER TABLE messages ADD COLUMN owner bigint DEFAULT 1 REFERENCES tenants;
