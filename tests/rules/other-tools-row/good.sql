INSERT INTO schema_migrations (version) VALUES ('001_t');
