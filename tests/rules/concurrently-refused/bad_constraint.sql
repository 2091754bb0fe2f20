-- fails: 2BP01
DROP INDEX CONCURRENTLY notes_pkey;
