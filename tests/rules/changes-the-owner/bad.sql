ALTER TABLE messages OWNER TO app;
