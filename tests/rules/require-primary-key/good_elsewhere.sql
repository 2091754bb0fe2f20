CREATE TABLE more (LIKE messages INCLUDING ALL);
CREATE TEMPORARY TABLE scratch (id bigint);
CREATE TABLE child () INHERITS (messages);
