ALTER TABLE messages ADD COLUMN remark text;
-- rollback
ALTER TABLE messages DROP COLUMN remark;
CREATE TABLE work (id bigint);
DROP TABLE work;
