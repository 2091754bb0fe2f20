CREATE TABLE IF NOT EXISTS messages (id bigint);
ALTER TABLE messages OWNER TO app;
