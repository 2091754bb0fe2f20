ALTER EXTENSION plpgsql ADD TABLE messages;
