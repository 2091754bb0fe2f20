"""What IF NOT EXISTS skips is no reason to warn of anything but that."""

from __future__ import annotations

import pytest

from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.facts.facts import CatalogFacts, ColumnFacts, IndexFacts, RelationFacts
from migrator.parsing.statements import parse

INDEX = IndexFacts("public.i", unique=False, valid=True, columns=("email",))
USERS = RelationFacts(
    "public.users",
    "r",
    rows=5_000_000,
    bytes=500_000_000,
    columns={"id": ColumnFacts("bigint", True), "email": ColumnFacts("text", False)},
    indexes=(INDEX,),
)
FACTS = CatalogFacts(
    server_version_num=170000,
    relations={"public.users": USERS, "public.i": RelationFacts("public.i", "i", table="public.users")},
    resolved={"users": "public.users", "i": "public.i"},
    complete=True,
)
WRITTEN = (
    "ALTER TABLE users ADD COLUMN IF NOT EXISTS email varchar(10) NOT NULL",
    "ALTER TABLE users ADD COLUMN IF NOT EXISTS email serial UNIQUE",
    "ALTER TABLE users ADD COLUMN IF NOT EXISTS email int GENERATED ALWAYS AS IDENTITY",
    "ALTER TABLE users ADD COLUMN IF NOT EXISTS email int DEFAULT random() CHECK (email > 0) REFERENCES users",
    "CREATE INDEX IF NOT EXISTS i ON users USING hash (email)",
    "CREATE UNIQUE INDEX IF NOT EXISTS i ON users (email)",
    "CREATE TABLE IF NOT EXISTS users (id int, email varchar(10), at timestamp)",
)


@pytest.mark.parametrize("sql", WRITTEN)
def test_what_is_skipped_is_all_that_is_told(sql: str) -> None:
    found = inspect(Sources((parse(sql, file="x.sql"),), rollback=parse("SELECT 1", file="r.sql")), Known(facts=FACTS))
    assert {finding.rule for finding in found.findings} - {"lock-timeout"} == {"there-already"}
