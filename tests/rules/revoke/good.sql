GRANT SELECT ON messages TO public;
