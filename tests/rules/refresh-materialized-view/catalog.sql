CREATE TABLE messages (id bigint PRIMARY KEY, size integer);
CREATE MATERIALIZED VIEW sizes AS SELECT size, count(*) AS n FROM messages GROUP BY size;
CREATE UNIQUE INDEX sizes_size ON sizes (size);
