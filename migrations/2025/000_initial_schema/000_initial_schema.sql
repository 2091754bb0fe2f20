-- Migration: 000_initial_schema
-- Author: database-team@wakala.com
-- Date: 2025-01-05
-- Description: Create tenants, users, contacts and messages

CREATE TABLE tenants (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    slug text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT uq_tenants_slug UNIQUE (slug),
    CONSTRAINT ck_tenants_slug CHECK (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$')
);

COMMENT ON TABLE tenants IS 'Customers of the platform; every other row belongs to one.';

CREATE TABLE users (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id bigint NOT NULL,
    email text NOT NULL,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT fk_users_tenant FOREIGN KEY (tenant_id) REFERENCES tenants (id),
    CONSTRAINT ck_users_email CHECK (email LIKE '_%@_%' AND length(email) <= 320)
);

COMMENT ON TABLE users IS 'People who work with a tenant''s messages.';

-- One account an address and tenant, however it is written.
CREATE UNIQUE INDEX uq_users_tenant_email ON users (tenant_id, lower(email));

CREATE TABLE contacts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id bigint NOT NULL,
    phone text NOT NULL,
    name text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT fk_contacts_tenant FOREIGN KEY (tenant_id) REFERENCES tenants (id),
    CONSTRAINT uq_contacts_tenant_phone UNIQUE (tenant_id, phone),
    CONSTRAINT ck_contacts_phone CHECK (phone ~ '^\+?[0-9]{3,15}$')
);

COMMENT ON TABLE contacts IS 'Whom a tenant writes to, by telephone number.';

CREATE TABLE messages (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id bigint NOT NULL,
    contact_id bigint NOT NULL,
    user_id bigint,
    direction text NOT NULL,
    body text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    CONSTRAINT fk_messages_tenant FOREIGN KEY (tenant_id) REFERENCES tenants (id),
    CONSTRAINT fk_messages_contact FOREIGN KEY (contact_id) REFERENCES contacts (id),
    CONSTRAINT fk_messages_user FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT ck_messages_direction CHECK (direction IN ('inbound', 'outbound'))
);

COMMENT ON TABLE messages IS 'One row a message sent or received.';
COMMENT ON COLUMN messages.user_id IS 'Who wrote it; null for messages of a contact or of the system.';
COMMENT ON COLUMN messages.deleted_at IS 'When it was deleted; deleted messages are kept and not shown.';

-- A foreign key needs an index on its own side, or deleting a contact or a user reads all messages.
CREATE INDEX idx_messages_contact ON messages (contact_id);
CREATE INDEX idx_messages_user ON messages (user_id) WHERE user_id IS NOT NULL;
