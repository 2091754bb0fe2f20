"""A plan that was not made from the files that it names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from migrator.catalogue.catalogue import load_catalogue
from migrator.errors import ContentChanged
from migrator.gates import origin
from migrator.plan import OnFailure, Plan, Risk
from migrator.stages.analyze import analyze
from tests.catalogue_files import write
from tests.factories import plan_from_sql

SQL = "BEGIN;\nCREATE TABLE thing (id bigint PRIMARY KEY);\nCOMMIT;\n"


def smuggled(plan: Plan) -> Plan:
    """Another text below the digest of the honest one."""
    step = plan.steps[0]
    other = replace(step.statements[0], sql="DELETE FROM salaries")
    return replace(plan, steps=(replace(step, statements=(other, *step.statements[1:])),))


FORGED: dict[str, Callable[[Plan], Plan]] = {
    "other statements": lambda plan: replace(plan, steps=plan_from_sql("DELETE FROM salaries;").steps),
    "a text below an honest digest": smuggled,
    "one statement more": lambda plan: replace(
        plan, steps=(*plan.steps, *plan_from_sql("GRANT ALL ON thing TO PUBLIC;").steps)
    ),
    "none": lambda plan: replace(plan, steps=()),
    "another rollback": lambda plan: replace(plan, rollback_steps=plan_from_sql("DROP TABLE salaries;").steps),
    "risk low": lambda plan: replace(plan, risk=Risk.LOW),
    "another author": lambda plan: replace(plan, author="nobody@example.com"),
    "another assertions": lambda plan: replace(plan, assertions=("SELECT true",)),
    "another on_failure": lambda plan: replace(plan, on_failure=OnFailure.HOLD),
    "another lock_timeout": lambda plan: replace(plan, lock_timeout_ms=3_600_000),
}


@pytest.mark.parametrize("what", FORGED)
def test_what_was_changed_in_the_plan_is_told(tmp_path: Path, what: str) -> None:
    root = write(tmp_path, {"001_t": SQL}, rollback="DROP TABLE thing;")
    migration = load_catalogue(root).require("001_t")
    plan = analyze(migration)
    origin.require(plan, migration)
    with pytest.raises(ContentChanged, match="was not made from these files"):
        origin.require(FORGED[what](plan), migration)


def test_a_cosmetic_edit_is_none(tmp_path: Path) -> None:
    root = write(tmp_path, {"001_t": SQL}, rollback="DROP TABLE thing;")
    plan = analyze(load_catalogue(root).require("001_t"))
    (path,) = root.rglob("001_t.sql")
    path.write_text("-- a comment\n" + SQL.replace("(id", "(\n  id"))
    origin.require(plan, load_catalogue(root).require("001_t"))


def test_honest_plans_are_made_of_their_files(repository: Path) -> None:
    catalogue = load_catalogue(repository / "migrations")
    assert catalogue.migrations
    for migration in catalogue.migrations:
        origin.require(analyze(migration), migration)
