"""Partitions that a WHERE leaves out, and what is said where that cannot be computed. The rest is in the corpus."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from migrator.analysis.effects import World, effects_of
from migrator.analysis.effects.partitions.hash import row_hash
from migrator.facts.facts import CatalogFacts, ColumnFacts, RelationFacts
from migrator.parsing.statements import parse

DAYS = ("2024-01-01", "2025-01-01", "2026-01-01")


def world(key: str = "RANGE (ts)") -> World:
    columns = {"id": ColumnFacts("integer", False), "ts": ColumnFacts("date", False)}
    parts = [
        RelationFacts(
            f"public.ev_{low[:4]}",
            "r",
            columns=columns,
            parent="public.ev",
            is_partition=True,
            bound=f"FOR VALUES FROM ('{low}') TO ('{high}')",
        )
        for low, high in pairwise(DAYS)
    ]
    names = tuple(part.name for part in parts)
    tree = RelationFacts("public.ev", "p", columns=columns, partitions=names, children=names, partition_key=key)
    return World(CatalogFacts(170000, relations={item.name: item for item in (tree, *parts)}, complete=True))


@pytest.mark.parametrize(
    "sql, key, parts, unsure",
    [
        ("DELETE FROM ev WHERE ts < '2024-05-05'", "RANGE (ts)", 1, False),
        ("DELETE FROM ev WHERE ts < date '2024-05-05' + 3", "RANGE (ts)", 2, True),
        ("DELETE FROM ev WHERE ts < date '2024-05-05' + 3 AND ts < '2024-08-08'", "RANGE (ts)", 1, True),
        ("DELETE FROM ev WHERE ts < current_date", "RANGE (ts)", 2, False),
        ("DELETE FROM ev WHERE ts = '5/5/2024'", "RANGE (ts)", 2, True),
        ("DELETE FROM ev WHERE ts < '2024-05-05'", "RANGE (date_trunc('month'::text, ts))", 2, True),
        ("DELETE FROM ev WHERE (id, ts) = (1, '2024-05-05')", "RANGE (ts)", 2, True),
        ("DELETE FROM ev USING n WHERE ev.ts = n.ts AND n.ts = '2024-05-05'", "RANGE (ts)", 2, True),
        ("DELETE FROM ev USING n WHERE ev.ts = n.ts AND n.id = 1", "RANGE (ts)", 2, False),
        ("DELETE FROM ev WHERE ts IN (SELECT ts FROM n)", "RANGE (ts)", 2, False),
        ("DELETE FROM ev WHERE ts IN (SELECT ts FROM n WHERE ts = '2024-05-05')", "RANGE (ts)", 2, True),
        ("INSERT INTO ev VALUES (1, now())", "RANGE (ts)", 2, True),
    ],
)
def test_what_is_not_computed_is_said(sql: str, key: str, parts: int, unsure: bool) -> None:
    found = effects_of(parse(sql, file="x.sql").statements[0].node, world(key))
    assert sum(lock.relation.startswith("public.ev_") for lock in found.locks) == parts
    assert bool(found.assumptions) == unsure


@pytest.mark.parametrize(
    "value, kind, remainder",
    [
        (Decimal(5), "integer", 2),
        (Decimal(-7), "integer", 0),
        ("hello world!x", "text", 2),
        ("123e4567-e89b-12d3-a456-426614174000", "uuid", 1),
    ],
)
def test_hash_is_that_of_the_server(value: Decimal | str, kind: str, remainder: int) -> None:
    """Remainders are those that satisfy_hash_partition() accepts with modulus 3."""
    found = row_hash([value], [kind])
    assert found is not None
    assert found % 3 == remainder
