CREATE TABLE schema_migrations (version text PRIMARY KEY);
INSERT INTO schema_migrations (version) VALUES ('20240102030405'), ('20240102030406');
