CREATE OR REPLACE VIEW v WITH (security_barrier) AS SELECT id FROM t WHERE id > 0;
