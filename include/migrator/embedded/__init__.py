"""PostgreSQL servers that we start ourselves: for the demo, the tests, `migrator test` and restored copies."""
