"""A migration without a rollback script."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.script import Whole
from migrator.plan import Severity


def check(whole: Whole) -> Iterator[Hit]:
    alone = whole.scripts and all(script.parsed.undoes_itself for script in whole.scripts)
    if whole.has_metadata and whole.rollback is None and not alone:
        yield Hit("there is no rollback script: when something fails after apply, what is applied stays")


RULE = Rule(
    id="missing-rollback",
    severity=Severity.WARNING,
    condition="a migration folder without <version>_rollback.sql, unless its steps undo themselves",
    effect="a failed verification cannot be undone; only a forward fix or the snapshot helps",
    alternative="write the rollback script; the dry run proves it on a copy of production's data",
    without_sql="always: it asks for a rollback script; `migrator new` writes its frame",
    source=DOCS + "sql-rollback.html",
    whole=check,
)
