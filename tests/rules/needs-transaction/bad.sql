LOCK TABLE messages IN SHARE MODE;
VACUUM messages;
