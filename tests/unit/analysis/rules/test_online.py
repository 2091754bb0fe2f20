"""Safe alternatives of ALTER TABLE: what may share a transaction, and what each statement becomes."""

from __future__ import annotations

import itertools

import pytest

from migrator.analysis.effects.world import Assumed
from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.analysis.rules.online import safely
from migrator.analysis.rules.online.expressions import (
    expression_of,
    of_new_row,
    renamed,
    statement_of,
    uses,
    with_column,
)
from migrator.parsing.build import expression_text, migrations_of
from migrator.parsing.statements import deparse, parse

PARTS = (
    "ADD COLUMN a bigserial PRIMARY KEY",
    "ADD COLUMN b uuid DEFAULT gen_random_uuid() NOT NULL UNIQUE",
    "ADD COLUMN c int REFERENCES others CHECK (c > 0)",
    "ADD COLUMN d int GENERATED ALWAYS AS IDENTITY",
    "ALTER COLUMN e SET NOT NULL",
    "ADD CONSTRAINT f CHECK (f > 0)",
    "ADD FOREIGN KEY (g) REFERENCES others",
    "ADD UNIQUE (h) DEFERRABLE",
    "VALIDATE CONSTRAINT i",
    "DROP COLUMN j",
)


def alternative(sql: str, *, major: int | None = None) -> str | None:
    assumed = {} if major is None else {"assumed": Assumed(server_version_num=major * 10000)}
    (script,) = inspect(Sources((parse(sql, file="test.sql"),)), Known(**assumed)).scripts
    return safely(script.subjects[0])


@pytest.mark.parametrize("parts", list(itertools.combinations(PARTS, 2)), ids=" / ".join)
def test_nothing_that_reads_all_rows_follows_a_strong_lock(parts: tuple[str, str]) -> None:
    text = alternative(f"ALTER TABLE t {', '.join(parts)}")
    assert text is not None
    for migration in migrations_of(text):
        statements = parse(migration, file="part.sql").statements
        slow = [item for item in statements if "VALIDATE CONSTRAINT" in item.sql or not item.transactional]
        assert not slow or len(statements) == 1, migration
    assert text.count("NOT VALID") <= text.count("VALIDATE CONSTRAINT")


def test_not_null_depends_on_the_server() -> None:
    sql = "ALTER TABLE t ALTER COLUMN c SET NOT NULL"
    assert "CHECK (c IS NOT NULL) NOT VALID" in (alternative(sql) or "")
    assert "CHECK (c IS NOT NULL) NOT VALID" in (alternative(sql, major=17) or "")
    assert alternative(sql, major=18) == (
        "ALTER TABLE t ADD CONSTRAINT t_c_not_null NOT NULL c NOT VALID;\n"
        "-- in a migration after that one:\n"
        "ALTER TABLE t VALIDATE CONSTRAINT t_c_not_null;"
    )


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE t ADD CONSTRAINT x EXCLUDE USING gist (c WITH =)",
        "ALTER TABLE t ADD COLUMN c int GENERATED ALWAYS AS (a * 2) STORED",
        "ALTER TABLE t ALTER COLUMN c TYPE bigint",
    ],
)
def test_there_is_not_always_a_way(sql: str) -> None:
    assert alternative(sql) is None


def test_a_light_statement_stays_as_it_is() -> None:
    assert alternative("ALTER TABLE t ADD COLUMN c int DEFAULT 1 NOT NULL") == (
        "ALTER TABLE t ADD COLUMN c int DEFAULT 1 NOT NULL;"
    )


def test_expressions_move_to_another_column() -> None:
    value = expression_of('lower("My Name") || other')
    assert value is not None
    assert expression_text(of_new_row(value)) == 'lower(new."My Name") || new.other'
    assert expression_text(renamed(value, "My Name", "n")) == "lower(n) || other"
    itself = expression_of("x")
    assert itself is not None
    assert expression_text(with_column(value, "other", itself)) == 'lower("My Name") || x'


def test_indexes_move_to_another_column() -> None:
    index = statement_of("CREATE INDEX i ON public.t USING btree (a, lower(b)) WHERE (a > 5)")
    assert index is not None
    assert uses(index, "a")
    assert not uses(index, "c")
    assert deparse(renamed(index, "a", "a_new")) == (
        "CREATE INDEX i ON public.t USING btree (a_new, lower(b)) WHERE a_new > 5"
    )


@pytest.mark.parametrize("text", ["1, 2", "select", ""])
def test_what_is_no_expression_is_none(text: str) -> None:
    assert expression_of(text) is None
