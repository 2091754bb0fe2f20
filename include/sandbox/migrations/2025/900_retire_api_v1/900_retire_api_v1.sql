-- Migration: 900_retire_api_v1
-- Author: database-team@wakala.com
-- Date: 2025-02-03
-- Description: Add the routing table of api v2

CREATE TABLE message_routes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id bigint NOT NULL,
    pattern text NOT NULL,
    destination text NOT NULL,
    CONSTRAINT uq_message_routes_pattern UNIQUE (tenant_id, pattern)
);
