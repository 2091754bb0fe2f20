"""Who has lost what: apply, for which no rollback script can answer, or the rollback itself. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from migrator.database.identities import Identities, Table

Part = tuple[str, tuple[str, ...]]
"""A table from before apply, and some of its columns."""


@dataclass(frozen=True)
class Dropped:
    """What apply dropped, by the names from before it. What has got another name, or has gone to another schema, is
    not in here."""

    tables: frozenset[str] = frozenset()
    columns: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By table, of tables that are there still. Also those with values of which it dropped a part."""
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
            gone = _gone(old, after.tables[oid])
            for kind, held in old.holds.items():
                if kind in after.types and _gone(before.types[kind], after.types[kind]):
                    gone |= held
        elif old.name in others:
            gone = set(old.columns.values()) - set(there[old.name].columns.values())
        else:
            tables.add(old.name)
            continue
        if gone:
            columns[old.name] = frozenset(gone)
    return Dropped(frozenset(tables), columns, before.sequences - after.sequences)


def _gone(old: Table, now: Table) -> set[str]:
    """Columns, without those of which there are new ones of their names."""
    made = {name for number, name in now.columns.items() if number not in old.columns}
    return {name for number, name in old.columns.items() if number not in now.columns} - made


def copies(found: Dropped, before: Identities, after: Identities) -> Iterator[tuple[Part, str]]:
    """What apply dropped and where it may have copied it to: a new table with columns of these names."""
    made = [table for oid, table in after.tables.items() if oid not in before.tables]
    for old in before.tables.values():
        whole = [tuple(old.columns.values())] if old.name in found.tables else []
        for columns in whole or [(column,) for column in found.columns.get(old.name, ())]:
            for table in made:
                if columns and table.columns and set(columns) <= set(table.columns.values()):
                    yield (old.name, columns), table.name


def without(found: Dropped, copied: Collection[Part]) -> Dropped:
    """But for what a rollback script can bring back."""
    columns = {
        name: gone - {one for part, some in copied if part == name for one in some}
        for name, gone in found.columns.items()
    }
    return replace(
        found,
        tables=found.tables - {name for name, _ in copied},
        columns={name: frozenset(gone) for name, gone in columns.items() if gone},
    )


def excused(found: Dropped, before: Identities, after: Identities, now: Identities) -> Dropped:
    """Without columns with values of which the rollback, too, dropped a part, which apply had left.

    :param now: after the rollback.
    """
    columns = dict(found.columns)
    for old in before.tables.values():
        for kind, held in old.holds.items():
            if old.name in columns and any(_lost(kind, before, after, now)):
                columns[old.name] -= held
    return replace(found, columns={name: some for name, some in columns.items() if some})


def concerned(before: Identities, after: Identities, now: Identities, written: Collection[str]) -> frozenset[str]:
    """The tables whose rows may be others, by the names from before: those that were written under whatever name,
    those that are not there any more, or under another name, or lack a column, those with values of a row type that
    lacks one, and those that refer to things by their oids when one of these is another.

    :param now: after the rollback.
    """
    found = set(written)
    for oid, old in before.tables.items():
        kept, left = after.tables.get(oid), now.tables.get(oid)
        lacks = left is None or left.name != old.name or not left.columns.keys() >= old.columns.keys()
        lacks = lacks or any(_lacks(kind, before, now) for kind in old.holds)
        lacks = lacks or bool(old.refers and before.named != now.named)
        if lacks or (kept is not None and kept.name in found):
            found.add(old.name)
    return frozenset(found)


def _lacks(kind: int, before: Identities, now: Identities) -> bool:
    return kind not in now.types or not now.types[kind].columns.keys() >= before.types[kind].columns.keys()


def _lost(kind: int, before: Identities, after: Identities, now: Identities) -> Iterator[int]:
    """The numbers of what the rollback dropped of a row type, and apply had left."""
    if kind in after.types and kind in now.types:
        for number in before.types[kind].columns:
            if number in after.types[kind].columns and number not in now.types[kind].columns:
                yield number


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
        said = list(_said(old, kept, left, tell))
        for kind in old.holds if left is not None else ():
            of = before.types[kind]
            for number in _lost(kind, before, after, now):
                name = tell(after.types[kind].columns[number])
                said.append(_sentence("attribute", of.columns[number], name, f" of {of.name}"))
        if said:
            found[old.name] = "; ".join(said)
    return found


def _said(old: Table, kept: Table, left: Table | None, tell: Callable[[str], str]) -> Iterator[str]:
    if left is None:
        yield _sentence("table", old.name, tell(kept.name))
        return
    for number, name in old.columns.items():
        if number in kept.columns and number not in left.columns:
            yield _sentence("column", name, tell(kept.columns[number]))


def _sentence(kind: str, old: str, kept: str, of: str = "") -> str:
    if old == kept:
        return f"the rollback drops {kind} {old}{of}, which apply had left: it loses its rows"
    return f"the rollback drops {kind} {kept}{of}, which has the rows of {old}: it loses them"
