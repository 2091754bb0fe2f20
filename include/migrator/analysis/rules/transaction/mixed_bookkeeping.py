"""Bookkeeping in one statement with something else: neither can be left out."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.script import Script
from migrator.plan import Severity


def check(script: Script) -> Iterator[Hit]:
    for one in script.parsed.aside.refused:
        if one.mixed:
            yield Hit(one.message, help=one.hint, place=(one.line, one.column))


RULE = Rule(
    id="mixed-bookkeeping",
    severity=Severity.ERROR,
    condition="a DO block, or a statement with WITH, that reads or writes a table `schema_migrations` and does"
    " something else as well",
    effect="what keeps that table is the engine's work and is left out; together with something else it can be neither"
    " left out nor run",
    alternative="write what else it does as statements of their own; what to do when the version is applied already is"
    " the ledger's to decide",
    without_sql="always: only the author knows what belongs to the change",
    source=DOCS + "sql-do.html",
    script=check,
    in_rollback=True,
    allowable=False,
)
