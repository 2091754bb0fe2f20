"""Relations that a migration has made: new to the rules, but predicted once they are committed."""

from __future__ import annotations

import pytest

from migrator.analysis.inspection import Inspection, inspect
from migrator.analysis.known import Sources
from migrator.parsing.statements import parse
from migrator.plan import PredictedLock

MADE = "CREATE TABLE t (id int);"
LOCKED = (PredictedLock("public.t", "ACCESS EXCLUSIVE"),)


def inspected(*files: str, rollback: str | None = None, transaction: bool | None = None) -> Inspection:
    parsed = tuple(parse(sql, file=f"{i}.sql") for i, sql in enumerate(files))
    undo = None if rollback is None else parse(rollback, file="rollback.sql")
    return inspect(Sources(parsed, rollback=undo, transaction=transaction))


@pytest.mark.parametrize(
    "files, transaction, seen",
    [
        ((MADE + "ALTER TABLE t ADD a int;",), None, False),
        ((MADE, "ALTER TABLE t ADD a int;"), None, True),
        ((MADE + "ALTER TABLE t ADD a int;",), False, True),
        ((f"BEGIN; {MADE} ALTER TABLE t ADD a int; COMMIT;",), None, False),
        ((f"BEGIN; {MADE} COMMIT; ALTER TABLE t ADD a int;",), None, True),
        ((MADE + "VACUUM; ALTER TABLE t ADD a int;",), None, True),
        ((MADE, "DROP TABLE t; CREATE TABLE t (); ALTER TABLE t ADD a int;"), None, False),
        ((MADE, "CREATE TEMP TABLE t (); ALTER TABLE t ADD a int;"), None, False),
        (("CREATE TEMP TABLE t ();ALTER TABLE t ADD a int;",), False, False),
    ],
)
def test_it_is_seen_from_the_next_transaction_on(files: tuple[str, ...], transaction: bool | None, seen: bool) -> None:
    found = inspected(*files, transaction=transaction)
    (altered,) = (one for script in found.scripts for one in script.subjects if one.statement.kind == "ALTER TABLE")
    assert altered.effects.locks == ()
    assert altered.effects.own.locks == (LOCKED if seen else ())
    assert altered.world.is_new(altered.world.dotted(("t",)))


def test_a_block_and_its_commit_are_one_statement() -> None:
    found = inspected("DO $$ BEGIN CREATE TABLE t (); COMMIT; DROP TABLE t; END $$;", transaction=False)
    assert found.effects["0.sql", 0].own.locks == ()


def test_a_rollback_has_a_transaction_of_its_own() -> None:
    found = inspected(MADE + "ALTER TABLE t ADD a int;", rollback="DROP TABLE t;")
    assert found.effects["0.sql", 1].own.locks == ()
    assert found.effects["rollback.sql", 0].own.locks == LOCKED


def test_the_rules_go_on_knowing_that_it_is_new() -> None:
    heavy = "ALTER TABLE t ALTER id TYPE text; CREATE INDEX i ON t (id); UPDATE t SET id = '1'; TRUNCATE t;"
    apart, together = inspected(MADE, heavy), inspected(MADE + heavy)
    assert [one.rule for one in apart.findings] == [one.rule for one in together.findings]
    assert apart.classification == together.classification
