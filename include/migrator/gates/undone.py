"""What another migration has undone while this one was not finished: the ledger explains that difference.

A migration may begin beside one that rests (`beside`). When that one is rolled back, what its earlier steps had made
goes, and the schema is not what this one was rehearsed on. The rollback writes down what it changed; that counts as
there still, as long as it is as the rollback has left it, and this one can neither touch nor run it. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from migrator import documents
from migrator.database.schema import Schema
from migrator.database.schema_diff import Change, SchemaDiff, diff, patch
from migrator.gates.drift import Start
from migrator.gates.reach import reach_of
from migrator.ledger.rows import LedgerEvent
from migrator.plan import Plan

UNDONE = "undone"
"""The event of a rollback beside others that are not finished."""
KINDS = ("begin", UNDONE)
"""Of the events that are looked at."""
CHANGES = "changes"
"""Key of its detail: of each object that it changed kind, name, and the digest of what it left, or null."""


def told(before: Schema, after: Schema) -> list[list[str | None]]:
    """For the detail of the event."""
    return [[one.kind, one.name, _digest(one.after)] for one in diff(before, after).changes]


def by_others(now: Schema, plan: Plan, start: Start, events: Iterable[LedgerEvent]) -> dict[str, SchemaDiff]:
    """By version, what others have undone since this one began.

    :param events: of all versions, oldest first; those of other kinds are passed over.
    """
    undone: dict[tuple[str, str, str | None], str] = {}
    for event in events:
        if event.version == plan.version and event.kind == "begin":
            undone.clear()
        elif event.version not in (plan.version, None) and event.kind == UNDONE:
            undone.update({_key(one): str(event.version) for one in event.detail.get(CHANGES, ())})
    if not undone:
        return {}
    reach = reach_of(plan, start.schema, start.path)
    found: dict[str, list[Change]] = {}
    for one in diff(start.schema, now).changes:
        version = undone.get((one.kind, one.name, _digest(one.after)))
        if version is not None and reach.misses(one):
            found.setdefault(version, []).append(one)
    return {version: SchemaDiff(tuple(changes)) for version, changes in found.items()}


def without_undone(now: Schema, plan: Plan, start: Start, events: Iterable[LedgerEvent]) -> Schema:
    """`now` as if they had not been rolled back."""
    return without(now, by_others(now, plan, start, events).values())


def without(now: Schema, undone: Iterable[SchemaDiff]) -> Schema:
    changes = [one for found in undone for one in found.changes]
    return patch(now, SchemaDiff(tuple(replace(one, before=one.after, after=one.before) for one in changes)))


def _key(one: Sequence[str | None]) -> tuple[str, str, str | None]:
    kind, name, left = one
    return str(kind), str(name), left


def _digest(text: str | None) -> str | None:
    return None if text is None else documents.digest(text)
