-- fails: 42704
GRANT SELECT ON pg_class TO app;
REVOKE ALL ON pg_class FROM PUBLIC;
