SET client_min_messages = 'warning';
BEGIN;
CREATE TABLE t (id bigint);
COMMIT;
