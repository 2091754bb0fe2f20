-- transaction: true
CREATE TABLE t (id bigint);
