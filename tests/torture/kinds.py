"""What is tortured: for each kind what it can be made to do, its step, and what the table needs for it."""

from __future__ import annotations

from dataclasses import replace

from migrator.plan import Plan
from tests.torture import backfill, copying, pieces
from tests.torture.case import Case, draw
from tests.torture.observer import ENGINE
from tests.torture.table import ddl

FORMS = {
    "backfill": ("set", "add", "from", "delete"),
    "insert": ("insert",),
    "quarantine": ("set", "add"),
    "index": tuple(pieces.INDEXES),
    "constraint": tuple(pieces.CONSTRAINTS),
}
BAD = """
ALTER TABLE t ADD COLUMN bad boolean NOT NULL DEFAULT false;
ALTER TABLE t ADD CONSTRAINT good CHECK (NOT (bad AND b IS NOT NULL));
UPDATE t SET bad = true WHERE owner > 0 AND n % 211 = 7;
"""
"""Rows that cannot be filled until somebody mends them."""
MEND, LEFT_OUT = "UPDATE t SET bad = false WHERE bad", "rows that fail"


def case_of(kind: str, seed: int) -> Case:
    """What a seed decides, as far as this kind has it."""
    case = draw(seed, FORMS[kind], kind)
    if kind == "insert":
        # A snapshot that is older than a copy does not see it, and its transaction changes the row without it.
        roles = tuple(replace(role, isolation="READ COMMITTED") for role in case.roles)
        case = replace(case, roles=roles)
    return pieces.adapted(case) if kind in pieces.KINDS else case


def plan(case: Case) -> Plan:
    return pieces.plan(case) if case.kind in pieces.KINDS else backfill.plan(case)


def tables(case: Case) -> str:
    made = ddl(case.shape, ENGINE, 1 if case.form == "delete" else None)
    if case.kind == "insert":
        made += copying.TABLE.format(watched=ENGINE)
    if case.kind == "quarantine":
        made += BAD
    if case.kind in pieces.KINDS:
        made += pieces.TABLES.format(watched=ENGINE)
    return made
