"""Who has lost what: apply, for which no rollback script can answer, or the rollback itself. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from migrator.database.identities import Identities, Table


@dataclass(frozen=True)
class Dropped:
    """What apply dropped, by the names from before it. What has got another name, or has gone to another schema, is
    not in here."""

    tables: frozenset[str] = frozenset()
    columns: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By table, of tables that are there still."""
    sequences: frozenset[int] = frozenset()

    def has(self, table: str, column: str) -> bool:
        return table in self.tables or column in self.columns.get(table, ())


def replaced(before: Identities, after: Identities) -> frozenset[str]:
    """Tables that apply dropped while it made others of their names."""
    there = after.by_name
    return frozenset(
        old.name
        for oid, old in before.tables.items()
        if oid not in after.tables and old.name in there and there[old.name].oid not in before.tables
    )


def dropped(before: Identities, after: Identities, empty: Collection[str] = ()) -> Dropped:
    """By identity. But what apply replaced, a table or a column by a new one of its name, may have its values: that is
    not excused.

    :param empty: of the `replaced` ones, those in which apply has left no row.
    """
    others = replaced(before, after) - set(empty)
    there = after.by_name
    tables, columns = set(), {}
    for oid, old in before.tables.items():
        if oid in after.tables:
            now, shared = after.tables[oid].columns, old.columns.keys()
            made = {name for number, name in now.items() if number not in shared}
            gone = {name for number, name in old.columns.items() if number not in now} - made
        elif old.name in others:
            gone = set(old.columns.values()) - set(there[old.name].columns.values())
        else:
            tables.add(old.name)
            continue
        if gone:
            columns[old.name] = frozenset(gone)
    return Dropped(frozenset(tables), columns, before.sequences - after.sequences)


def concerned(before: Identities, after: Identities, now: Identities, written: Collection[str]) -> frozenset[str]:
    """The tables whose rows may be others, by the names from before: those that were written under whatever name, and
    those that are not there any more, or lack a column.

    :param now: after the rollback.
    """
    found = set(written)
    for oid, old in before.tables.items():
        kept, left = after.tables.get(oid), now.tables.get(oid)
        lacks = left is None or not left.columns.keys() >= old.columns.keys()
        if lacks or (kept is not None and kept.name in found):
            found.add(old.name)
    return frozenset(found)


def blamed(
    before: Identities, after: Identities, now: Identities, tell: Callable[[str], str] = str
) -> Mapping[str, str]:
    """What the rollback dropped that apply had left, by table: a sentence each. No loss yet, if it has copied the rows.

    :param now: after the rollback. :param tell: what may be told of a name that came at run time.
    """
    found = {}
    for oid, old in before.tables.items():
        kept, left = after.tables.get(oid), now.tables.get(oid)
        if kept is None:
            continue
        if said := list(_said(old, kept, left, tell)):
            found[old.name] = "; ".join(said)
    return found


def _said(old: Table, kept: Table, left: Table | None, tell: Callable[[str], str]) -> Iterator[str]:
    if left is None:
        yield _sentence("table", old.name, tell(kept.name))
        return
    for number, name in old.columns.items():
        if number in kept.columns and number not in left.columns:
            yield _sentence("column", name, tell(kept.columns[number]))


def _sentence(kind: str, old: str, kept: str) -> str:
    if old == kept:
        return f"the rollback drops {kind} {old}, which apply had left: it loses its rows"
    return f"the rollback drops {kind} {kept}, which has the rows of {old}: it loses them"
