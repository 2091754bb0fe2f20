"""Which statement gives a column values past its sequence is said as it is, wherever it stands."""

from __future__ import annotations

import pytest

from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.facts.facts import CatalogFacts, ColumnFacts, RelationFacts
from migrator.parsing.statements import parse

FACTS = CatalogFacts(
    server_version_num=170000,
    relations={
        "public.users": RelationFacts(
            "public.users",
            "r",
            columns={
                "id": ColumnFacts("bigint", True, sequences=("public.users_id_seq",)),
                "n": ColumnFacts("int", False),
            },
        )
    },
    resolved={"users": "public.users"},
)


@pytest.mark.parametrize(
    "sql, kind",
    [
        (
            "WITH x AS (INSERT INTO users (id, n) VALUES (7, 1) ON CONFLICT DO NOTHING RETURNING id)"
            " UPDATE users SET n = 2 FROM x WHERE users.id = x.id",
            "INSERT",
        ),
        ("WITH x AS (INSERT INTO users VALUES (7, 1) RETURNING id) SELECT * FROM x", "INSERT"),
        (
            "MERGE INTO users AS u USING (VALUES (7)) AS v (i) ON u.id = v.i"
            " WHEN NOT MATCHED THEN INSERT (id) VALUES (i)",
            "MERGE",
        ),
        ("INSERT INTO users (id) VALUES (7)", "INSERT"),
    ],
)
def test_the_statement_that_adds_the_rows_is_named(sql: str, kind: str) -> None:
    found = inspect(Sources((parse(sql, file="x.sql"),)), Known(facts=FACTS)).findings
    (message,) = (finding.message for finding in found if finding.rule == "sequence-left-behind")
    assert message.startswith(f"{kind} gives public.users.id values of its own")
