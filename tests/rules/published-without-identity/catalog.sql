CREATE TABLE notes (id bigint, body text);
CREATE TABLE drafts (id bigint PRIMARY KEY, body text);
CREATE TABLE parts (id bigint, body text) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE heard (id bigint, body text);
CREATE TABLE apart (id bigint, body text);
CREATE PUBLICATION app FOR TABLE notes, drafts, parts;
CREATE PUBLICATION log FOR TABLE heard WITH (publish = 'insert');
