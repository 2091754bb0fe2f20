"""Rows that others may read or write from now on although no grant has changed: through a parent, a view, a policy, or
a function that runs with its owner's rights.

What may be done with a parent may be done with its children (src/backend/optimizer/util/inherit.c asks for rights on
the parent alone), a view reads with the rights of its owner, and what a SECURITY DEFINER function calls runs with
those of that one's owner: https://www.postgresql.org/docs/current/rules-privileges.html.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from migrator.database.rights import Guarded
from migrator.database.schema import Schema
from migrator.database.schema_diff import Change, diff
from migrator.database.vocabulary import told_name

_PARENTS = re.compile(r"(?:inherits \((?P<several>[^)]*)\)|partition of (?P<one>\S+))")
_QUERY = re.compile(r"(?:^|\s)(?:SELECT|WITH|VALUES|TABLE)\b")
_CALLED = re.compile(r'(?:^|\.)(?P<name>"(?:[^"]|"")+"|[^."(]+)\(')


def changes(before: Schema, after: Schema, now: Mapping[str, Guarded]) -> tuple[str, ...]:
    """One sentence each, of what was there before. Pure.

    :param now: who may do what afterwards.
    """
    told: list[str] = []
    for change in diff(before, after).changes:
        look = _LOOKS.get(change.kind)
        if look is not None:
            told += look(change, before, after, now)
    return tuple(dict.fromkeys(told))


def _table(change: Change, before: Schema, after: Schema, now: Mapping[str, Guarded]) -> Iterator[str]:
    if change.before is None or change.after is None:
        return
    for parent in _parents(change.after) - _parents(change.before):
        for role in _roles(now.get(f"table {parent}")):
            told = told_name(change.name)
            yield f"{role} may now do with the rows of {told} what it may do with {told_name(parent)}, their parent"


def _view(change: Change, before: Schema, after: Schema, now: Mapping[str, Guarded]) -> Iterator[str]:
    if change.before is not None and change.after is not None and _query(change.before) != _query(change.after):
        for role in _roles(now.get(f"{change.kind} {change.name}")):
            yield f"{role} may use {told_name(change.name)}, whose query is another one now"


def _policy(change: Change, before: Schema, after: Schema, now: Mapping[str, Guarded]) -> Iterator[str]:
    table = next((name for name in before.objects.get("table", {}) if change.name.startswith(f"{name}.")), None)
    roles = _roles(now.get(f"table {table}"))
    if roles:
        what = "new" if change.before is None else "gone" if change.after is None else "another one"
        yield (
            f"the policy {told_name(change.name)} is {what}: which of its rows {', '.join(roles)} may read and write is"
            " decided anew"
        )


def _function(change: Change, before: Schema, after: Schema, now: Mapping[str, Guarded]) -> Iterator[str]:
    found = _CALLED.search(change.name)
    if change.before is None or change.after is None or found is None:
        return
    called = re.compile(rf"(?<![\w$]){re.escape(found['name'].strip(chr(34)))}(?![\w$])", re.IGNORECASE)
    routines = ((kind, item) for kind in _ROUTINES for item in before.objects.get(kind, {}).items())
    for kind, (name, text) in routines:
        definer = now.get(f"{kind} {name}")
        if definer is None or "SECURITY DEFINER" not in definer.words or name == change.name:
            continue
        roles = _roles(definer)
        if roles and called.search(text):
            yield (
                f"{', '.join(roles)} may execute {told_name(name)}, which runs with its owner's rights (SECURITY"
                f" DEFINER), and in it {told_name(change.name)}, which does something else now"
            )


def _roles(one: Guarded | None) -> list[str]:
    return sorted({grant.role for grant in one.grants}) if one is not None else []


def _query(text: str) -> str:
    """Of a view, without its options."""
    return text[found.start() :] if (found := _QUERY.search(text)) else text


def _parents(text: str) -> set[str]:
    found = [match["several"] or match["one"] for match in _PARENTS.finditer(text)]
    return {name.strip() for names in found for name in names.split(",")}


_ROUTINES = ("function", "procedure")
_Look = Callable[[Change, Schema, Schema, Mapping[str, Guarded]], Iterator[str]]
_LOOKS: Mapping[str, _Look] = {
    "table": _table,
    "view": _view,
    "materialized_view": _view,
    "policy": _policy,
    "function": _function,
    "procedure": _function,
}
