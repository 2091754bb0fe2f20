"""The ledger: `schema_migrations` and its companions in the target itself."""
