"""How long a migration may take: rows times a measured cost for each kind of work.

Costs are seconds for a million rows of about 100 bytes on a warm machine with two cores (PostgreSQL 17). The number
of indexes matters more than bytes: a rewrite builds each of them again, an UPDATE writes to each. It is an order of
magnitude, until the dry run measures the real thing.
"""

from __future__ import annotations

from collections.abc import Sequence

from migrator.rules.model import Subject, rows_of

STATEMENT = 0.005
"""Of any statement: parsing, catalog changes, the round trip."""
SCAN = 0.1
REWRITE = 0.4
INDEX_BUILD = 0.45
CONCURRENT_INDEX_BUILD = 0.6
WRITE_ROW = 3.6
WRITE_INDEX = 6.0


def estimate_seconds(subjects: Sequence[Subject]) -> float:
    """Of all statements, one after another, without waiting for locks."""
    return round(sum(estimate_statement(subject) for subject in subjects), 3)


def estimate_statement(subject: Subject) -> float:
    seconds = STATEMENT
    kind = subject.statement.kind
    for relation in subject.effects.rewrites:
        seconds += _millions(subject, relation) * (REWRITE + INDEX_BUILD * _indexes(subject, relation))
    for relation in subject.effects.scans:
        cost = SCAN
        if kind == "CREATE INDEX":
            cost = INDEX_BUILD
        elif kind == "CREATE INDEX CONCURRENTLY":
            cost = CONCURRENT_INDEX_BUILD
        elif kind.startswith("REINDEX"):
            cost = INDEX_BUILD * max(1, _indexes(subject, relation))
        elif kind in ("UPDATE", "DELETE", "MERGE"):
            cost = WRITE_ROW + WRITE_INDEX * max(0, _indexes(subject, relation) - 1)
        seconds += _millions(subject, relation) * cost
    return seconds


def _millions(subject: Subject, relation: str) -> float:
    return (rows_of(subject, relation) or 0) / 1_000_000


def _indexes(subject: Subject, relation: str) -> int:
    facts = subject.world.relation(relation)
    return len(facts.indexes) if facts else 0
