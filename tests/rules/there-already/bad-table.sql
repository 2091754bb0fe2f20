-- connection
CREATE TABLE IF NOT EXISTS tenants (
    id bigint PRIMARY KEY,
    name text,
    mail text NOT NULL
);
