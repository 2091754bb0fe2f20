"""What verify takes for left half-made."""

from __future__ import annotations

from migrator.database.schema import Schema
from migrator.database.schema_diff import diff
from migrator.database.vocabulary import vocabulary
from migrator.stages.verify import unfinished
from tests.factories import plan_from_sql

SQL = "CREATE INDEX CONCURRENTLY i ON t (a); CREATE INDEX CONCURRENTLY i2 ON t (b)"
BOTH = {"public.i": "CREATE INDEX i ON t (a)", "public.i2": "CREATE INDEX i2 ON t (b)"}
BEFORE = Schema({})


def with_invalid(*names: str) -> Schema:
    return Schema({"index": {name: text + " [invalid]" * (name in names) for name, text in BOTH.items()}})


def test_the_rehearsal_of_one_index_says_nothing_of_another() -> None:
    known = vocabulary(plan_from_sql(SQL, "DROP INDEX i, i2"), BEFORE)
    rehearsed = diff(BEFORE, with_invalid("public.i2")).lines()
    assert unfinished(with_invalid("public.i2"), BEFORE, rehearsed, known) == ()
    assert unfinished(with_invalid("public.i", "public.i2"), BEFORE, rehearsed, known) == ("index public.i is invalid",)
