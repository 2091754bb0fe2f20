"""The numbered layouts of the ledger, and where it lies.

`ledger_schema_<n>.sql` takes it from n-1 to n; `ledger_shape_<n>.json` says what is there then, in the words of
`shape.sql`.
"""

SCHEMA_VERSION = 1
"""What this engine reads and writes. A higher number in a database means a newer engine: refused."""

SCHEMA = "migrator"
"""Where it lies, unless a command is told another one. A migration is always applied with this one."""
