"""Changes that a change brings along: of the table below a view, and of the tables whose foreign keys say so.

Their triggers fire as if a statement had named them: src/backend/utils/adt/ri_triggers.c sends UPDATE and DELETE.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from migrator.analysis.effects.model import Recorder
from migrator.analysis.effects.rows import references
from migrator.analysis.effects.rows.writes import bases
from migrator.analysis.effects.world import World

Change = tuple[str, str]
"""Kind as the statement's, and table."""

EVENTS = {"COPY": frozenset(["INSERT"]), "MERGE": frozenset(["INSERT", "UPDATE", "DELETE"])}
"""Which triggers a statement fires, where its name does not say it."""


def events_of(kind: str) -> frozenset[str]:
    return EVENTS.get(kind, frozenset([kind]))


def changes(kind: str, table: str, columns: Collection[str] | None, world: World) -> Iterator[Change]:
    """The change itself, and what comes along, each once.

    :param columns: of an UPDATE, those that it sets; None: any.
    """
    events = events_of(kind)
    event = next(iter(events)) if len(events) == 1 else ""
    seen: set[Change] = set()
    stack: list[tuple[Change, Collection[str] | None]] = [
        ((kind, base), columns) for base in bases(table, world, Recorder(), event)
    ]
    while stack:
        change, written = stack.pop()
        if change in seen:
            continue
        seen.add(change)
        yield change
        stack += [(found, set_) for found, set_ in _by_keys(change, written, world)]


def _by_keys(
    change: Change, columns: Collection[str] | None, world: World
) -> Iterator[tuple[Change, Collection[str] | None]]:
    kind, table = change
    events, facts = events_of(kind), world.relation(table)
    for other, item in references.pointing(table, world) if facts is not None else ():
        if "DELETE" in events and item.on_delete in references.WRITES_BACK:
            yield ("DELETE" if item.on_delete == "c" else "UPDATE", other), item.columns
        key = references.key_of(item, facts) if facts is not None else ()
        touched = columns is None or any(column in columns for column in key)
        if "UPDATE" in events and item.on_update in references.WRITES_BACK and touched:
            yield ("UPDATE", other), item.columns
