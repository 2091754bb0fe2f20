-- no rollback
CREATE TABLE t (id bigint);
