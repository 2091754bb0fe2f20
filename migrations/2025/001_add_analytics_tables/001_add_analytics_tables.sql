-- Migration: 001_add_analytics_tables
-- Author: database-team@wakala.com
-- Date: 2025-01-10
-- Description: Add tables for message analytics feature

CREATE TABLE message_analytics (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id bigint NOT NULL,
    tenant_id bigint NOT NULL,
    event_date date NOT NULL,
    event_type text NOT NULL,
    response_seconds integer,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT fk_message_analytics_message FOREIGN KEY (message_id) REFERENCES messages (id),
    CONSTRAINT fk_message_analytics_tenant FOREIGN KEY (tenant_id) REFERENCES tenants (id),
    CONSTRAINT ck_message_analytics_event_type
        CHECK (event_type IN ('sent', 'delivered', 'read', 'replied', 'failed')),
    CONSTRAINT ck_message_analytics_response_seconds CHECK (response_seconds >= 0)
);

COMMENT ON TABLE message_analytics IS 'One row an event in the life of a message.';

-- The tables are new and empty: building their indexes blocks nobody.
CREATE INDEX idx_message_analytics_tenant_date ON message_analytics (tenant_id, event_date);
CREATE INDEX idx_message_analytics_message ON message_analytics (message_id);

CREATE TABLE analytics_summary (
    tenant_id bigint NOT NULL,
    summary_date date NOT NULL,
    messages_sent bigint NOT NULL DEFAULT 0,
    messages_delivered bigint NOT NULL DEFAULT 0,
    messages_read bigint NOT NULL DEFAULT 0,
    messages_failed bigint NOT NULL DEFAULT 0,
    average_response_seconds numeric(12, 3),
    computed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_analytics_summary PRIMARY KEY (tenant_id, summary_date),
    CONSTRAINT fk_analytics_summary_tenant FOREIGN KEY (tenant_id) REFERENCES tenants (id)
);

COMMENT ON TABLE analytics_summary IS 'message_analytics by tenant and day, computed every night.';
