-- another schema: another type
ALTER TABLE messages ADD COLUMN country char(2), ADD COLUMN flags "char";
