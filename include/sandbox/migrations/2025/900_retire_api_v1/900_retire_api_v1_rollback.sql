-- Rollback: 900_retire_api_v1
-- Author: database-team@wakala.com
-- Date: 2025-02-03
-- Description: Drop the routing table of api v2

DROP TABLE IF EXISTS message_routes;
