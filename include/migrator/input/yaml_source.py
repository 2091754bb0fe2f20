"""Read YAML that a person wrote: plain data, with the place of every key, and without surprises.

Built on libyaml's events, not on its constructors: no tags, no aliases, nothing recursive, so that a hostile file can
neither run code nor fill the memory. Scalars follow YAML 1.2's core schema, as people expect: `02:00` and `no` are
text, never 120 or false.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml
from yaml.events import AliasEvent, Event, MappingStartEvent, ScalarEvent, SequenceEndEvent, SequenceStartEvent

from migrator.errors import InvalidInput
from migrator.problems import Problem

Key: TypeAlias = tuple["str | int", ...]
"""The way to a value: keys of mappings and positions in lists, from the top."""

LARGEST = 512 * 1024
"""Bytes. The longest metadata file seen in practice is a few kilobytes."""
DEEPEST = 40

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_CONSTANTS: Mapping[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(frozen=True)
class Place:
    """Line and column, from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Document:
    """What a file says. `keys` has the place of each mapping key, `values` that of each value."""

    file: str
    data: Any
    keys: Mapping[Key, Place]
    values: Mapping[Key, Place]
    problems: tuple[Problem, ...] = ()
    """What is wrong although the rest could be read: duplicate keys, tags."""

    def place(self, key: Key) -> Place:
        """The place of `key`, or of the nearest thing around it."""
        while key:
            found = self.keys.get(key) or self.values.get(key)
            if found is not None:
                return found
            key = key[:-1]
        return self.values.get((), Place(1, 1))


def read(path: Path, *, file: str | None = None) -> Document:
    """The document in the file `path`; `file` is what to call it in messages.

    :raises InvalidInput: when it cannot be read at all: missing, too large, not UTF-8, not YAML, several documents.
    """
    name = file or str(path)
    try:
        with path.open("rb") as handle:
            raw = handle.read(LARGEST + 1)
    except OSError as exc:
        raise InvalidInput(problems=(Problem(name, f"cannot be read: {exc.strerror or exc}"),)) from exc
    return parse(raw, file=name)


def parse(raw: bytes, *, file: str) -> Document:
    """The document in `raw`; see `read`."""
    if len(raw) > LARGEST:
        raise _invalid(file, f"is larger than {LARGEST // 1024} kB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        raise _invalid(file, "is not UTF-8", Place(line, exc.start - raw.rfind(b"\n", 0, exc.start))) from exc
    if "\0" in text:
        before = text[: text.index("\0")]
        raise _invalid(file, "has a NUL character", Place(before.count("\n") + 1, len(before) - before.rfind("\n")))
    try:
        return _Builder(file).build(yaml.parse(text, Loader=_Loader))
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark else None
        what = ", ".join(part for part in (exc.context, exc.problem) if part)
        hint = "indent with spaces, not with tabs" if mark and _char_at(text, mark.line, mark.column) == "\t" else None
        raise _invalid(file, f"is not YAML: {what}", place, hint) from exc
    except yaml.reader.ReaderError as exc:
        position = exc.position if isinstance(exc.position, int) else 0
        before = text[:position]
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise _invalid(file, f"is not YAML: {exc.reason}", place) from exc
    except (yaml.YAMLError, RecursionError) as exc:
        raise _invalid(file, f"is not YAML: {str(exc).splitlines()[0]}") from exc


def _invalid(file: str, message: str, place: Place | None = None, hint: str | None = None) -> InvalidInput:
    where = place or Place(1, 1)
    return InvalidInput(problems=(Problem(file, message, where.line, where.column, hint=hint),))


class _Builder:
    """One document from its events. Recursive, and therefore limited to DEEPEST levels."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.keys: dict[Key, Place] = {}
        self.values: dict[Key, Place] = {}
        self.problems: list[Problem] = []

    def build(self, events: Iterator[Event]) -> Document:
        data: Any = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _invalid(self.file, "has more than one YAML document", _place(event))
                data = self._value(next(events), events, ())
        if documents == 0:
            raise _invalid(self.file, "is empty")
        return Document(self.file, data, self.keys, self.values, tuple(self.problems))

    def _value(self, event: Event, events: Iterator[Event], key: Key) -> Any:
        self.values[key] = _place(event)
        if len(key) > DEEPEST:
            raise _invalid(self.file, f"is nested more than {DEEPEST} levels deep", _place(event))
        if isinstance(event, AliasEvent):
            self._problem(event, key, f"aliases (*{event.anchor}) are not supported", "write the value out")
            return None
        self._refuse_tag(event, key)
        if isinstance(event, ScalarEvent):
            return _scalar(event)
        if isinstance(event, SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(item := next(events), SequenceEndEvent):
                items.append(self._value(item, events, (*key, len(items))))
            return items
        return self._mapping(event, events, key)

    def _mapping(self, event: Event, events: Iterator[Event], key: Key) -> dict[str, Any]:
        data: dict[str, Any] = {}
        while not isinstance(name := next(events), yaml.MappingEndEvent):
            if not isinstance(name, ScalarEvent):
                self._problem(name, key, "a key must be plain text")
                self._value(name, events, (*key, "?"))
                self._value(next(events), events, (*key, "?"))
                continue
            path = (*key, name.value)
            first = self.keys.get(path)
            if first is not None:
                self._problem(name, path, f"appears twice; first in line {first.line}")
                _Builder(self.file)._value(next(events), events, path)
                continue
            self.keys[path] = _place(name)
            data[name.value] = self._value(next(events), events, path)
        return data

    def _refuse_tag(self, event: Event, key: Key) -> None:
        tag = getattr(event, "tag", None)
        if tag is None or tag == "!" or (isinstance(event, ScalarEvent) and tag == "tag:yaml.org,2002:str"):
            return
        if isinstance(event, (MappingStartEvent, SequenceStartEvent)) and tag.startswith("tag:yaml.org,2002:"):
            kind = tag.removeprefix("tag:yaml.org,2002:")
            if kind in ("map", "seq"):
                return
        self._problem(event, key, f"the tag {tag!r} is not allowed", "write plain values")

    def _problem(self, event: Event, key: Key, message: str, hint: str | None = None) -> None:
        place = _place(event)
        self.problems.append(Problem(self.file, message, place.line, place.column, dotted(key) or None, hint))


def dotted(key: Key) -> str:
    """`("steps", 0, "file")` as `steps[0].file`."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _char_at(text: str, line: int, column: int) -> str:
    lines = text.split("\n")
    return lines[line][column : column + 1] if line < len(lines) else ""


def _place(event: Event) -> Place:
    mark = event.start_mark
    return Place(mark.line + 1, mark.column + 1) if mark is not None else Place(1, 1)


def _scalar(event: ScalarEvent) -> Any:
    """A quoted or block scalar is text; a plain one may be a constant or a number (YAML 1.2, 10.3.2)."""
    value: str = event.value
    if event.style or event.tag is not None:
        return value
    if value in _CONSTANTS:
        return _CONSTANTS[value]
    if _INTEGER.match(value) and len(value) < 20:
        return int(value)
    if _FLOAT.match(value) and math.isfinite(number := float(value)):
        return number
    return value
