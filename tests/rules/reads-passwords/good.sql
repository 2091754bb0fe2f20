CREATE VIEW roles AS SELECT rolname FROM pg_roles;
