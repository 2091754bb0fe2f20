"""What the schema must be like now, at the place to which a plan is applied: the rehearsal has seen it there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from migrator.database.schema import OF_ROLES, Schema
from migrator.database.schema_diff import Change, SchemaDiff, patch
from migrator.evidence import RehearsedState
from migrator.ledger.rows import LedgerStep, StepStatus, took_effect
from migrator.plan import Plan

PASSIVE_KINDS = frozenset(
    {
        *OF_ROLES,
        *("comment", "security_label", "tablespace", "database", "setting", "publication", "subscription"),
    }
)
"""They run nothing, and decide of nothing that runs what it does, but for `USAGE`."""
USAGE = "schema "
"""Rights on schemas, among the rights: in a schema without them no name is looked up."""
HALF_MADE = (" [invalid]", " [detach pending]")
"""How `schema.read` marks what an interrupted statement leaves, of those that take effect in several transactions."""
ATTACHED = " attached to "
"""So it tells that an index is a part of a partitioned table's: the last thing that is done of it."""

_KEY = re.compile(
    r"(?:PRIMARY KEY|UNIQUE)(?P<nulls> NULLS NOT DISTINCT)? (?P<columns>\([^()]*\)(?: INCLUDE \([^()]*\))?)"
    r"(?: DEFERRABLE.*)?"
)
"""A constraint whose index is told with it."""
_OF_TABLE = re.compile(r'(?P<table>.+)\.(?:"(?:[^"]|"")+"|[^".]+)')
"""The name of a constraint."""


@dataclass(frozen=True)
class Reached:
    """How far a plan is applied."""

    step: str
    done: int
    """Leading statements of the step."""
    begun: bool = False
    """The next one may have taken effect, or half of it."""


@dataclass(frozen=True)
class Expected:
    """`code` is the fingerprint of all of it that may decide what runs; `schema` lacks what may not be told."""

    schema: Schema
    code: str

    @property
    def withheld(self) -> bool:
        return code_of(self.schema).fingerprint != self.code


def code_of(schema: Schema) -> Schema:
    """All that may decide what runs. Pure."""
    objects = schema.portable.objects
    usage = {name: text for name, text in objects.get("grant", {}).items() if name.startswith(USAGE)}
    kept = {kind: names for kind, names in objects.items() if kind not in PASSIVE_KINDS}
    return replace(schema, objects=MappingProxyType({**kept, **({"grant": usage} if usage else {})}))


def reached_by(plan: Plan, rows: Sequence[LedgerStep]) -> Reached | None:
    """None: nothing of it took effect. Pure."""
    found = {row.step: row for row in rows if took_effect(row)}
    row = next((found[step.name] for step in reversed(plan.steps) if step.name in found), None)
    if row is None:
        return None
    begun = row.status is not StepStatus.SUCCESS and row.cursor.get("state") in ("intent", "failed")
    return Reached(row.step, row.statements_done, begun)


def expected(
    start: Schema,
    states: Sequence[RehearsedState],
    undoing: Sequence[RehearsedState] | None,
    plan: Plan,
    reached: Reached | None,
) -> tuple[Expected, ...]:
    """What the schema is now; after the first, what parts of it may be as well. Pure.

    :param undoing: what a way back that takes effect in parts, and has begun, may have left; None: none has.
    """
    order = {step.name: position for position, step in enumerate(plan.steps)}
    done = 0
    if reached is not None:
        at = order[reached.step], reached.done
        done = sum((order.get(state.step, -1), state.done) <= at for state in states)
    found = [_after(start, states[:done])]
    if reached is not None and reached.begun:
        found.append(_after(start, states[: done + 1]))
    if undoing is not None:
        found.append(_after(start, ()))
        found += [_after(start, (*states, *undoing[: count + 1])) for count in range(len(undoing))]
    return tuple(found)


def is_expected(change: Change, others: Iterable[Expected]) -> bool:
    """Whether what was changed is as one of the others has it, or is half-made so."""
    texts = [one.schema.objects.get(change.kind, {}).get(change.name) for one in others]
    if change.after is None or change.after in texts:
        return change.after in texts
    whole = change.after
    for mark in HALF_MADE:
        whole = whole.replace(mark, "")
    if change.kind == "index" and any(text is not None and text.startswith(whole + ATTACHED) for text in texts):
        return True
    if whole == change.after or not texts:
        return False
    return whole in (*texts, change.before) or (change.before is None and _is_copy(change.kind, whole, others))


def _is_copy(kind: str, definition: str, others: Iterable[Expected]) -> bool:
    """Whether it is what an index is that is there: REINDEX CONCURRENTLY, interrupted, leaves copies that are invalid.
    They run what the index runs, and refuse what it refuses."""
    return kind == "index" and any(_shape(definition) in _shapes(one.schema) for one in others)


def _shapes(schema: Schema) -> Iterator[tuple[str, str]]:
    for text in schema.objects.get("index", {}).values():
        yield _shape(text.partition(ATTACHED)[0])
    for name, text in schema.objects.get("constraint", {}).items():
        if (key := _KEY.fullmatch(text)) and (place := _OF_TABLE.fullmatch(name)):
            yield "CREATE UNIQUE", f"{place['table']} USING btree {key['columns']}{key['nulls'] or ''}"


def _shape(definition: str) -> tuple[str, str]:
    """Without its name."""
    kind, _, rest = definition.partition(" INDEX ")
    return kind, rest.partition(" ON ")[2]


def _after(start: Schema, states: Sequence[RehearsedState]) -> Expected:
    changes = [Change(kind, name, None, text, whole) for state in states for kind, name, text, whole in state.changes]
    schema = patch(start.portable, SchemaDiff(tuple(changes)))
    return Expected(schema, states[-1].code if states else code_of(start).fingerprint)
