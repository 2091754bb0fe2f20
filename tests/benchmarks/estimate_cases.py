"""What bench_estimate.py measures: tables of a size with one index or four, and forty operations on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

TABLES = """
CREATE TABLE tenants (id int PRIMARY KEY);
INSERT INTO tenants SELECT generate_series(0, 999);
CREATE TABLE messages (
    id bigint, tenant_id int, amount int, email varchar(60), price numeric, created_at timestamptz, body text
);
"""
FILL = """
INSERT INTO messages
SELECT i, (random() * random() * 999)::int, (random() * 1e9)::int, md5(i::text) || '@example.org',
       (random() * 1e6)::numeric(14, 3), timestamptz '2024-01-01' + i * interval '30 seconds',
       repeat('x', 20 + (random() * 40)::int)
FROM generate_series(1, {rows}) AS i
"""
INDEXES = (
    "CREATE INDEX messages_id ON messages (id)",
    "CREATE INDEX messages_email ON messages (email)",
    "CREATE INDEX messages_amount ON messages (amount)",
    "CREATE INDEX messages_tenant_created ON messages (tenant_id, created_at)",
)
PREPARED = """
ALTER TABLE messages ADD CONSTRAINT later CHECK (amount >= 0) NOT VALID;
ALTER TABLE messages ADD CONSTRAINT later_fk FOREIGN KEY (tenant_id) REFERENCES tenants NOT VALID;
"""
OPERATIONS = (
    "ALTER TABLE messages ALTER amount SET NOT NULL",
    "ALTER TABLE messages ADD CHECK (amount >= 0)",
    "ALTER TABLE messages ADD CHECK (amount >= 0 AND id > 0 AND price >= 0)",
    "ALTER TABLE messages ADD CHECK (email ~ '^[^@]+@[^@]+$')",
    "ALTER TABLE messages ADD CHECK (length(body) < 1000)",
    "ALTER TABLE messages VALIDATE CONSTRAINT later",
    "ALTER TABLE messages ADD FOREIGN KEY (tenant_id) REFERENCES tenants",
    "ALTER TABLE messages VALIDATE CONSTRAINT later_fk",
    "ALTER TABLE messages ADD UNIQUE (email)",
    "ALTER TABLE messages ADD UNIQUE (id)",
    "ALTER TABLE messages ADD PRIMARY KEY (id)",
    "ALTER TABLE messages ALTER amount TYPE bigint",
    "ALTER TABLE messages ALTER body TYPE varchar(200)",
    "ALTER TABLE messages ALTER price TYPE numeric(12, 2)",
    "ALTER TABLE messages ALTER email TYPE text",
    "ALTER TABLE messages ALTER price TYPE text USING price::text",
    "ALTER TABLE messages ADD COLUMN flag boolean NOT NULL DEFAULT false",
    "ALTER TABLE messages ADD COLUMN uid uuid DEFAULT gen_random_uuid()",
    "ALTER TABLE messages ADD COLUMN seen timestamptz DEFAULT clock_timestamp()",
    "ALTER TABLE messages ADD COLUMN number bigserial",
    "ALTER TABLE messages ADD COLUMN lowered text GENERATED ALWAYS AS (lower(email)) STORED",
    "ALTER TABLE messages SET UNLOGGED",
    "CREATE INDEX ON messages (amount)",
    "CREATE INDEX ON messages (id)",
    "CREATE INDEX ON messages (email)",
    "CREATE INDEX ON messages (created_at)",
    "CREATE INDEX ON messages (price)",
    "CREATE INDEX ON messages (tenant_id, created_at)",
    "CREATE INDEX ON messages (tenant_id)",
    "CREATE INDEX ON messages (lower(email))",
    "CREATE INDEX ON messages (created_at) WHERE tenant_id < 10",
    "CREATE INDEX ON messages USING hash (email)",
    "CREATE INDEX ON messages USING brin (created_at)",
    "REINDEX TABLE messages",
    "CREATE TABLE copied AS SELECT * FROM messages",
    "CREATE TABLE grouped AS SELECT tenant_id, count(*) FROM messages GROUP BY tenant_id",
    "INSERT INTO messages SELECT id + 100000000, tenant_id, amount, email, price, created_at, body FROM messages",
    "DELETE FROM messages WHERE tenant_id < 100",
    "UPDATE messages SET amount = amount + 1 WHERE tenant_id < 100",
    "UPDATE messages SET amount = amount + 1",
)
DIRTY = ("INSERT", "DELETE", "UPDATE")


@dataclass(frozen=True)
class Suite:
    name: str
    tables: str
    fill: str
    """With {rows}."""
    indexes: tuple[str, ...]
    prepared: str
    operations: tuple[str, ...]

    def statements(self, rows: int, count: int) -> Iterator[str]:
        """Make the tables with the first `count` indexes."""
        yield from (self.tables, self.fill.format(rows=rows), *self.indexes[:count], self.prepared)
        yield from ("VACUUM ANALYZE messages", "ANALYZE", "CHECKPOINT")

    @staticmethod
    def leaves_traces(sql: str) -> bool:
        """These leave dead rows behind although they are rolled back."""
        return sql.startswith(DIRTY)


FORTY = Suite("forty", TABLES, FILL, INDEXES, PREPARED, OPERATIONS)
SUITES = {suite.name: suite for suite in (FORTY,)}
