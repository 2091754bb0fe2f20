ALTER TABLE messages ADD COLUMN note text;
ALTER TABLE messages ADD COLUMN more text;
CREATE TABLE t (id bigint);
ALTER TABLE t ADD COLUMN note text;
