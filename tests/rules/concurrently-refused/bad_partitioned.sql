-- fails: 0A000
DROP INDEX CONCURRENTLY events_happened;
