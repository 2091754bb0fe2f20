"""Which statements are offered as steps, and as which."""

from __future__ import annotations

import pytest

from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.facts.facts import CatalogFacts, ColumnFacts, ConstraintFacts, RelationFacts
from migrator.parsing.statements import parse
from migrator.plan import Suggestion

MANY = 5_000_000


def relation(name: str, *columns: str, kind: str = "r", **over: object) -> RelationFacts:
    facts = {column: ColumnFacts("text", not_null=False) for column in columns}
    return RelationFacts(name=f"public.{name}", kind=kind, rows=MANY, columns=facts, **over)


FACTS = CatalogFacts(
    server_version_num=160000,
    relations={
        "public.t": relation("t", "a", "b", "c"),
        "public.v": relation("v", "a", "b", kind="v"),
        "public.one": relation(
            "one", "id", constraints=(ConstraintFacts("one_pkey", "p", True, "PRIMARY KEY (id)", columns=("id",)),)
        ),
    },
)


def offered(sql: str, facts: CatalogFacts | None = FACTS) -> list[tuple[Suggestion, ...]]:
    parsed = parse(sql, file="x.sql")
    assert parsed.problems == ()
    return [one.steps for one in inspect(Sources((parsed,)), Known(facts)).findings if one.steps]


@pytest.mark.parametrize(
    "sql, file",
    [
        ("UPDATE t SET a = 'x'", "UPDATE t SET a = 'x' WHERE a IS DISTINCT FROM 'x';\n"),
        ("UPDATE t SET a = 'x' WHERE b > ''", "UPDATE t SET a = 'x' WHERE b > '' AND a IS DISTINCT FROM 'x';\n"),
        ("UPDATE t SET a = now() WHERE a IS NULL", "UPDATE t SET a = now() WHERE a IS NULL;\n"),
        ("UPDATE t SET a = a || 'x', b = 'y' WHERE c > '' AND b IS NULL", None),
        ("DELETE FROM t", "DELETE FROM t WHERE true;\n"),
        ("DELETE FROM t WHERE a > 'x'", "DELETE FROM t WHERE a > 'x';\n"),
    ],
)
def test_a_change_of_many_rows_is_a_backfill(sql: str, file: str | None) -> None:
    written = file or f"{sql};\n"
    assert offered(sql) == [(Suggestion("backfill", sql=written),)]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE t SET a = a || 'x'",
        "UPDATE t SET a = 'x' || b, b = 'y' WHERE c > ''",
        "UPDATE t SET a = now()",
        "UPDATE t SET a = CURRENT_DATE",
        "UPDATE t SET a = random() WHERE b > ''",
        "UPDATE t SET a = NULL WHERE a IS NULL AND b > random()::text",
        "UPDATE t SET a = (SELECT max(id) FROM one)",
        "UPDATE t SET a = 'x' WHERE b > '' RETURNING a",
        "WITH w AS (SELECT 1) DELETE FROM t WHERE a > 'x'",
        "DELETE FROM t WHERE a > random()::text",
        "DELETE FROM v",
        "UPDATE pg_catalog.pg_depend SET objid = 1",
        "DO $$ BEGIN LOOP UPDATE t SET a = 'x' WHERE a IS NULL; EXIT; END LOOP; END $$",
    ],
)
def test_what_batches_would_do_otherwise_is_not_offered(sql: str) -> None:
    assert offered(sql) == []


def test_all_parts_of_a_statement_are_among_the_steps_or_none_is() -> None:
    (steps, *others) = offered("ALTER TABLE t ALTER a SET NOT NULL, ADD COLUMN d int, ADD CHECK (b > '')")
    assert all(one == steps for one in others)
    assert [step.kind for step in steps] == ["sql", "constraint", "constraint"]
    assert offered("ALTER TABLE t ALTER a SET NOT NULL, ALTER b TYPE int USING b::int") == []


def test_a_foreign_key_names_the_columns_that_the_catalog_knows() -> None:
    sql = "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES one"
    (steps,) = offered(sql)
    assert steps[0].parameters["definition"] == "FOREIGN KEY (a) REFERENCES one (id)"
    assert offered(sql, None) == []


def test_a_column_with_values_is_added_filled_and_then_required() -> None:
    (steps, *_) = offered("ALTER TABLE t ADD COLUMN d uuid NOT NULL DEFAULT gen_random_uuid()")
    assert [step.kind for step in steps] == ["sql", "backfill", "constraint"]
    assert steps[0].undo == "ALTER TABLE t DROP COLUMN IF EXISTS d;\n"
    assert steps[1] == Suggestion("backfill", sql="UPDATE t SET d = DEFAULT WHERE d IS NULL;\n", undo="")
