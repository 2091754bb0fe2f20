-- Example: Adding column to large table with minimal locking

-- Step 1: Add column without default (instant)
ALTER TABLE messages 
ADD COLUMN analytics_processed BOOLEAN;

-- Step 2: Update in batches (zero-downtime)
DO $$
DECLARE
  batch_size INTEGER := 10000;
  row_count INTEGER;
BEGIN
  LOOP
    UPDATE messages 
    SET analytics_processed = false 
    WHERE analytics_processed IS NULL 
    LIMIT batch_size;
    
    GET DIAGNOSTICS row_count = ROW_COUNT;
    EXIT WHEN row_count = 0;
    
    -- Brief pause to reduce load
    PERFORM pg_sleep(0.1);
  END LOOP;
END $$;

-- Step 3: Add constraint after data is populated
ALTER TABLE messages 
ALTER COLUMN analytics_processed SET DEFAULT false;

ALTER TABLE messages 
ALTER COLUMN analytics_processed SET NOT NULL;
