-- Create index concurrently (non-blocking)
CREATE INDEX CONCURRENTLY idx_messages_tenant_created 
ON messages(tenant_id, created_at) 
WHERE deleted_at IS NULL;

-- Verify index is valid
SELECT indexrelid::regclass, indisvalid 
FROM pg_index 
WHERE indexrelid::regclass::text = 'idx_messages_tenant_created';

-- Monitor progress
SELECT 
  phase,
  blocks_total,
  blocks_done,
  blocks_total - blocks_done as blocks_remaining,
  round(100.0 * blocks_done / blocks_total, 2) as percent_done
FROM pg_stat_progress_create_index;
