CREATE TABLE messages (id bigint, body text);
