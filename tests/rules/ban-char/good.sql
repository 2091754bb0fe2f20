ALTER TABLE messages ADD COLUMN country text, ADD COLUMN flags "char";
