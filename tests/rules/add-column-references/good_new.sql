CREATE TABLE kinds (id bigint PRIMARY KEY);
ALTER TABLE messages ADD COLUMN kind bigint REFERENCES kinds;
