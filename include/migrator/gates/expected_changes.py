"""Did what a migration promises to change really change, and nothing else?"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from migrator.database.schema_diff import Change, SchemaDiff
from migrator.catalogue.expected_changes import KINDS, OTHER, SECTIONS, ExpectedChanges

IMPLIED = frozenset({"column_order", "tablespace", "owner_grant"})
"""Kinds that follow from a declared change of the same table and cannot be declared alone."""


def compare(expected: ExpectedChanges | Mapping[str, Any] | None, diff: SchemaDiff) -> tuple[str, ...]:
    """What differs between the promise and `diff`, one line each; empty when both agree. Pure.

    `expected` may be the document that a plan carries. None (no file) promises nothing and is compared with nothing.
    """
    if expected is None:
        return ()
    if isinstance(expected, Mapping):
        from migrator import documents

        expected = documents.from_dict(ExpectedChanges, expected)
    declared, diff = expected.declared(), diff.of_objects()
    actual = {(change.sign, _key(change)): change for change in diff.changes}
    problems: list[str] = []
    for sign, key in sorted(declared - actual.keys(), key=_readable):
        problems.append(f"declared, but did not happen: {_line(sign, key)}{_nearest(sign, key, actual)}")
    parents = {_key(change): change.part_of for change in diff.changes if change.part_of}
    for change in diff.changes:
        if not _covered(change, declared, actual.keys(), parents):
            line = _line(change.sign, _key(change))
            problems.append(f"happened, but is not declared: {line} (add it under {_where(change)})")
    return tuple(problems)


def _key(change: Change) -> str:
    return f"{change.kind} {change.name}"


def _covered(
    change: Change,
    declared: frozenset[tuple[str, str]],
    actual: Iterable[tuple[str, str]],
    parents: Mapping[str, str],
) -> bool:
    sign, key = change.sign, _key(change)
    if (sign, key) in declared:
        return True
    seen: set[str] = set()
    above = [parents.get(key), change.name, _owner_column(change)]  # a comment is named after what it is on
    while above:
        parent = above.pop()
        if parent is None or parent in seen:
            continue
        seen.add(parent)
        if (sign, parent) in declared:
            return True
        above.append(parents.get(parent))
    if change.kind == "column_order":
        return (
            any(one in declared and one[1].startswith(f"column {change.name}.") and one[0] != "~" for one in actual)
            or ("~", f"table {change.name}") in declared
        )
    return change.kind in IMPLIED and any((one, f"table {change.name}") in declared for one in SECTIONS.values())


def _owner_column(change: Change) -> str | None:
    """The column that a sequence was made for: it comes and goes with it."""
    if change.kind != "sequence":
        return None
    for mark in ("identity of ", "owned by "):
        _, found, column = (change.after or change.before or "").partition(mark)
        if found:
            return f"column {column}"
    return None


def _line(sign: str, key: str) -> str:
    kind, _, name = key.partition(" ")
    return f"{sign} {kind.replace('_', ' ')} {name}"


def _readable(one: tuple[str, str]) -> tuple[str, str]:
    return one[1], one[0]


def _where(change: Change) -> str:
    section = next(name for name, sign in SECTIONS.items() if sign == change.sign)
    plural = next((plural for plural, kind in KINDS.items() if kind == change.kind), OTHER)
    return f"{section}.{plural}"


def _nearest(sign: str, key: str, actual: Mapping[tuple[str, str], Any]) -> str:
    for other in SECTIONS.values():
        if other != sign and (other, key) in actual:
            return f"; what happened is: {_line(other, key)}"
    kind = key.partition(" ")[0]
    names = [one for what, one in actual if what == sign and one.partition(" ")[0] == kind]
    close = difflib.get_close_matches(key, names, n=1, cutoff=0.7)
    return f"; did you mean {close[0].partition(' ')[2]!r}?" if close else ""
