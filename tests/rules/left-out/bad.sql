BEGIN;
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM schema_migrations WHERE version = '001_t') THEN
    RAISE EXCEPTION 'Migration already applied';
  END IF;
END $$;
CREATE TABLE t (id bigint);
INSERT INTO schema_migrations (version, applied_at) VALUES ('001_t', now());
COMMIT;
