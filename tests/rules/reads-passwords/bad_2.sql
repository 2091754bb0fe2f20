CREATE VIEW v AS SELECT option_value FROM information_schema.user_mapping_options;
