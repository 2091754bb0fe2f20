"""The numbered layouts of the ledger: `ledger_schema_<n>.sql` takes it from n-1 to n."""

SCHEMA_VERSION = 1
"""What this engine reads and writes. A higher number in a database means a newer engine: refused."""
