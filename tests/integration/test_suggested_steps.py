"""What a rule offers as steps does, carried out by the kinds, what the statement would have done."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest

from migrator.catalogue.catalogue import load_one
from migrator.cli.new_files import Draft, files
from migrator.database import fingerprint
from migrator.database.schema_diff import diff
from migrator.database.session import Endpoint, connect
from migrator.ledger.ledger import Ledger
from migrator.plan import Finding
from migrator.run import RunContext
from migrator.stages.analyze import run_analyze
from migrator.steps import execution
from migrator.steps.attempt import Attempt
from migrator.steps.kinds import kind_named
from migrator.steps.suggestions import Composed, composed
from tests.factories import NOW
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import make_target, query
from tests.integration.test_rules import facts_of, run, schema_of
from tests.rule_examples import Example, examples

RULES = (
    "add-check", "add-column-check", "add-column-not-null", "add-column-references", "add-column-serial",
    "add-column-unique", "add-column-volatile-default", "add-foreign-key", "add-not-null-constraint",
    "add-unique-builds-index", "backfill-in-one-transaction", "change-without-where", "create-index", "drop-index",
    "reindex", "set-not-null",
)  # fmt: skip
"""Whose cure is a step kind."""
CANDIDATES = [one for one in examples() if one.bad and one.rule in RULES]
WITHOUT = {
    "add-column-not-null/bad": "nobody knows what the rows are to hold",
    "add-column-references/bad_nothing_read": "it is done at once",
    "add-unique-builds-index/bad_partitioned": "PostgreSQL has no USING INDEX for a partitioned table",
    "add-unique-builds-index/bad_partitioned_key": "likewise",
    "backfill-in-one-transaction/bad": "the loop is code",
}
FROM_18 = ("add-foreign-key/bad_partitioned",)
"""Before, the foreign key of a partitioned table cannot be added NOT VALID."""
BY_CHANCE = ("add-column-volatile-default",)
"""What the rows get is never the same twice."""


@pytest.mark.parametrize("example", CANDIDATES, ids=str)
def test_the_steps_end_where_the_statement_does(
    example: Example, make_database: MakeDatabase, tmp_path: Path, major: int
) -> None:
    if not example.runs_on(major):
        pytest.skip(f"not for PostgreSQL {major}")
    stepwise = make_database("steps", script=example.catalog.read_text())
    offered = [item for item in example.findings(facts_of(stepwise, example.parsed)) if item.rule == example.rule]
    found = next((item for item in offered if item.steps), None)
    if found is None:
        assert str(example) in WITHOUT or (str(example) in FROM_18 and major < 18)
        return
    before, itself = _cut(example, found)
    run(stepwise, before)
    start = schema_of(stepwise)
    whole = composed(found.steps)
    _apply(whole, stepwise, tmp_path)
    assert [query(stepwise, text) for text in whole.holds] == [[(True,)]] * len(whole.holds)
    if not example.fails:
        direct = make_database("direct", script=example.catalog.read_text())
        run(direct, (*before, itself))
        assert _named(diff(schema_of(direct), schema_of(stepwise)).lines()) == []
        assert example.rule in BY_CHANCE or _rows(direct) == _rows(stepwise)
    if all(kind_named(step.kind).UNDONE_BY_SCRIPT for step in found.steps) and whole.undo:
        run(stepwise, (whole.undo,))
        assert diff(start, schema_of(stepwise)).lines() == ()


@pytest.fixture
def major(database: Endpoint) -> int:
    with psycopg.connect(database.conninfo) as conn:
        return conn.info.server_version // 10000


def _named(lines: Sequence[str]) -> list[str]:
    """Without the indexes of partitions: the kind names them after theirs and the table's."""
    return [line for line in lines if " attached to " not in line]


def _cut(example: Example, found: Finding) -> tuple[Sequence[str], str]:
    assert found.statement is not None
    sql = [item.sql for item in example.parsed.statements]
    return sql[: found.statement], sql[found.statement]


def _apply(whole: Composed, endpoint: Endpoint, tmp_path: Path) -> None:
    """As written to disk, analysed with the target's facts, and carried out by the kinds."""
    draft = Draft("001_steps", "steps", "a@b.example", NOW.date(), "high", None, True, (), False, whole)
    folder = tmp_path / "2026" / "001_steps"
    folder.mkdir(parents=True)
    for name, text in files(draft).items():
        (folder / name).write_text(text)
    run = RunContext(run_id="run-1", version="001_steps", target="test", actor="tester", clock=lambda: NOW)
    migration = load_one(tmp_path, "001_steps")
    plan = run_analyze(migration, target=make_target(), catalogue=None, endpoint=endpoint, ledger=None, run=run)
    with Ledger(endpoint) as ledger:
        ledger.install()
        with Attempt(plan, endpoint, ledger, run).locked() as ctx:
            ledger.begin(plan, run=run)
            for step in plan.steps:
                execution.run(step, ctx)


def _rows(endpoint: Endpoint) -> dict[str, tuple[int, str]]:
    with connect(endpoint, purpose="observe") as conn:
        return {item.table: (item.rows, item.hash) for item in fingerprint.tables(conn, exclude=("migrator",))}
