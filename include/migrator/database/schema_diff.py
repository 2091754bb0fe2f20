"""What changed between two schemas: for people (`lines`) and for schema_changes.yaml (`to_dict`)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from migrator.database.schema import Schema

SHOWN = 240
"""Characters of a definition that one line shows."""


@dataclass(frozen=True)
class Change:
    """One object that came, went or changed. `before` is None for one that came, `after` for one that went."""

    kind: str
    name: str
    before: str | None
    after: str | None
    part_of: str | None = None
    """ "<kind> <name>" of the object that it goes with; a change of a whole table brings those of its columns along."""

    @property
    def sign(self) -> str:
        if self.before is None:
            return "+"
        return "-" if self.after is None else "~"

    def __str__(self) -> str:
        label = f"{self.sign} {_label(self.kind, self.name)}"
        if self.before is not None and self.after is not None:
            return f"{label}: {_changed(self.before, self.after)}"
        definition = _one_line(self.after if self.before is None else self.before)
        return label if definition in ("", "table") else f"{label}: {definition}"


@dataclass(frozen=True)
class SchemaDiff:
    changes: tuple[Change, ...]

    def __bool__(self) -> bool:
        return bool(self.changes)

    @property
    def added(self) -> Mapping[str, tuple[str, ...]]:
        return self._names("+")

    @property
    def removed(self) -> Mapping[str, tuple[str, ...]]:
        return self._names("-")

    @property
    def changed(self) -> Mapping[str, tuple[str, ...]]:
        return self._names("~")

    def without(self, *kinds: str) -> SchemaDiff:
        return SchemaDiff(tuple(change for change in self.changes if change.kind not in kinds))

    def of_objects(self) -> SchemaDiff:
        """With another function or operator that a thing uses as a change of that thing, as it is where its text has
        changed, too."""
        told = {f"{change.kind} {change.name}" for change in self.changes}
        found = []
        for change in self.changes:
            if change.kind != "used_by":
                found.append(change)
            elif change.name not in told:
                kind, _, name = change.name.partition(" ")
                part_of = None if change.part_of == change.name else change.part_of
                found.append(Change(kind, name, change.before or "", change.after or "", part_of))
        return SchemaDiff(tuple(found))

    @property
    def only_column_order(self) -> bool:
        """True when nothing but the position of columns differs: equal to the tolerant comparison."""
        return bool(self.changes) and all(change.kind == "column_order" for change in self.changes)

    def essential(self) -> SchemaDiff:
        """Without what follows from another change: the parts of an object that came or went as a whole, and the order
        of columns where columns came or went."""
        changes = self.of_objects().changes
        whole = {(change.sign, f"{change.kind} {change.name}") for change in changes if change.sign != "~"}
        moved = {change.part_of for change in changes if change.kind == "column" and change.sign != "~"}
        return SchemaDiff(
            tuple(
                change
                for change in changes
                if (change.sign, change.part_of) not in whole
                and not (change.kind == "column_order" and change.part_of in moved)
            )
        )

    def lines(self) -> tuple[str, ...]:
        """One line a change. The order of columns is mentioned only where no column of that table came or went."""
        moved = {change.part_of for change in self.changes if change.kind == "column" and change.sign != "~"}
        return tuple(
            str(change) for change in self.changes if change.kind != "column_order" or change.part_of not in moved
        )

    def to_dict(self) -> dict[str, Any]:
        """{"added": {kind: [names]}, "dropped": ..., "changed": ...}, as schema_changes.yaml declares them."""
        return {
            word: {kind: list(names) for kind, names in section.items()}
            for word, section in (("added", self.added), ("dropped", self.removed), ("changed", self.changed))
        }

    def _names(self, sign: str) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for change in self.changes:
            if change.sign == sign:
                found[change.kind] = (*found.get(change.kind, ()), change.name)
        return MappingProxyType(found)


def diff(before: Schema, after: Schema) -> SchemaDiff:
    """Every difference, ordered by the object it goes with, tables before their columns. Pure."""
    changes = []
    for kind in sorted({*before.objects, *after.objects}):
        old, new = before.objects.get(kind, {}), after.objects.get(kind, {})
        for name in sorted({*old, *new}):
            if old.get(name) != new.get(name):
                key = f"{kind} {name}"
                part_of = after.part_of.get(key) or before.part_of.get(key)
                changes.append(Change(kind, name, old.get(name), new.get(name), part_of))
    return SchemaDiff(tuple(sorted(changes, key=_place)))


def is_about(line: str, kind: str, name: str) -> bool:
    """Of `SchemaDiff.lines`: the line of this very thing, not of `v2` for `v`, nor one whose definition has it."""
    _, _, told = line.partition(" ")
    label = _label(kind, name)
    return told == label or told.startswith(f"{label}: ")


def _label(kind: str, name: str) -> str:
    return f"{kind.replace('_', ' ')} {name}"


def patch(schema: Schema, changes: SchemaDiff) -> Schema:
    """`schema` with the same things changed: what a migration that was tried on a copy makes of the original. Pure."""
    objects = {kind: dict(names) for kind, names in schema.objects.items()}
    part_of = dict(schema.part_of)
    for change in changes.changes:
        names = objects.setdefault(change.kind, {})
        key = f"{change.kind} {change.name}"
        if change.after is None:
            names.pop(change.name, None)
            part_of.pop(key, None)
            continue
        names[change.name] = change.after
        if change.part_of is not None:
            part_of[key] = change.part_of
    return Schema(
        MappingProxyType({kind: dict(sorted(objects[kind].items())) for kind in sorted(objects) if objects[kind]}),
        MappingProxyType(dict(sorted(part_of.items()))),
        schema.role,
    )


def _place(change: Change) -> tuple[str, bool, str, str]:
    whole = f"{change.kind} {change.name}"
    return (change.part_of or whole, change.part_of is not None, change.kind, change.name)


def _changed(before: str, after: str) -> str:
    """Short definitions side by side, long ones (function bodies) as the lines that differ."""
    if len(before) + len(after) <= SHOWN or "\n" not in before + after:
        return f"{_one_line(before) or '(none)'} -> {_one_line(after) or '(none)'}"
    differing = [
        line.rstrip()
        for line in difflib.unified_diff(_lines(before), _lines(after), n=0, lineterm="")
        if not line.startswith(("---", "+++", "@@"))
    ]
    return " | ".join(differing)


def _one_line(text: str | None) -> str:
    flat = " ".join(_seen(text or "").split())
    return flat if len(flat) <= SHOWN else f"{flat[:SHOWN]}..."


def _lines(text: str) -> list[str]:
    return _seen(text).split("\n")


def _seen(text: str) -> str:
    """With the carriage returns that nobody would see."""
    return text.replace("\r", "\\r")
