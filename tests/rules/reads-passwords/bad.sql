CREATE VIEW roles AS SELECT rolname, rolpassword FROM pg_authid;
