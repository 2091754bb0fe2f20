"""Which things that others have made decide nothing of what a plan runs: new ones whose names nobody has written.

An unqualified name means the first thing of that name along the path, so whoever makes one in an earlier schema, or
such a schema itself, takes the place of what was rehearsed. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from migrator.database.schema import Schema
from migrator.database.schema_diff import Change
from migrator.database.vocabulary import written
from migrator.plan import Plan

WHOLE = frozenset({"table", "sequence", "schema"})
"""New ones run nothing."""
PARTS = frozenset({"column", "column_order", "constraint", "index", "sequence", "used_by", "grant"})
"""Of new ones they run nothing, as long as nobody writes there."""
NAMED = frozenset({"table", "sequence", "schema", "index"})
"""Of all these what a text can mean without its table."""
KEYS = ("PRIMARY KEY", "UNIQUE", "EXCLUDE")
"""Constraints with an index of their name."""
CONCERNS_OTHERS = re.compile(r"\b(foreign|partition of|inherits)\b", re.IGNORECASE)
"""A new table, or a constraint of one, that is asked, or written to, where another table is; or that is no table."""
DYNAMIC = re.compile(r"\bexecute\b(?!\s+(function|procedure)\b)|\bU&[\"']", re.IGNORECASE)
"""Names are made at run time, or written in another way."""
_LAST = re.compile(r'(?:"(?:[^"]|"")+"|[^".]+)\Z')


def deciding(changes: Collection[Change], plan: Plan, before: Schema, *path: str) -> tuple[Change, ...]:
    """Those that may decide what the plan runs.

    :param before: the schema from which it was rehearsed.
    :param path: where its texts look names up.
    """
    new = {f"{one.kind} {one.name}" for one in changes if one.before is None and one.kind in WHOLE}
    if not new or _makes_names(plan, before):
        return tuple(changes)
    heard = "\n".join((*written(plan, before), before.role, *path))
    return tuple(one for one in changes if not (_runs_nothing(one, new) and not _is_heard(one, heard)))


def _runs_nothing(change: Change, new: Collection[str]) -> bool:
    if change.before is not None:
        return False
    whole = change.kind in WHOLE and change.part_of is None
    part = change.kind in PARTS and change.part_of in new
    asks_others = change.kind in ("table", "constraint") and CONCERNS_OTHERS.search(change.after or "")
    return (whole or part) and not asks_others


def is_named(change: Change) -> bool:
    """Whether a text can mean it without its table."""
    return change.kind in NAMED or (change.kind == "constraint" and (change.after or "").startswith(KEYS))


def _is_heard(change: Change, heard: str) -> bool:
    return is_named(change) and _has(heard, change.name)


def _has(text: str, name: str) -> bool:
    last = _LAST.search(name)
    bare = (last[0] if last else name).strip('"')
    return re.search(rf"(?<![\w$]){re.escape(bare)}(?![\w$])", text, re.IGNORECASE) is not None


def _makes_names(plan: Plan, before: Schema) -> bool:
    """Whether the plan, or a function that it names, does."""
    steps = (*plan.steps, *plan.rollback_steps)
    texts = "\n".join([*(one.sql for step in steps for one in step.statements), *plan.assertions])
    return DYNAMIC.search(texts) is not None or any(
        DYNAMIC.search(text) and _has(texts, name.partition("(")[0]) for name, text in _routines(before)
    )


def _routines(schema: Schema) -> Iterable[tuple[str, str]]:
    return (item for kind in ("function", "procedure") for item in schema.objects.get(kind, {}).items())
