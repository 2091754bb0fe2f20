-- fails: 0A000
DROP INDEX CONCURRENTLY notes_body, notes_more;
