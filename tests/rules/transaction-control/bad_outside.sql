CREATE TABLE u (id bigint);
BEGIN;
CREATE TABLE t (id bigint);
COMMIT;
