"""ALTER TABLE and its relatives, by what the subcommand is about."""
