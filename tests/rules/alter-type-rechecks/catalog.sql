CREATE TABLE messages (code varchar(20) CONSTRAINT code_there CHECK (code <> ''), title varchar(20));
INSERT INTO messages VALUES ('x', 'y');
