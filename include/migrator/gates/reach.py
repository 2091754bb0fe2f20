"""What a plan can touch, or run, of a database; and so what others may do elsewhere while it works for hours.

A statement touches what it names. What is touched runs what hangs on it: triggers, defaults, checks, index expressions,
policies, partitions, tables whose references cascade; and these touch what they name. A table that is only referred to
is asked for a key and runs nothing (src/backend/utils/adt/ri_triggers.c). Whatever is no table, view or routine (types,
operators, casts, event triggers) counts as touched, because nobody has to name it. Words are compared, not meanings: a
column called like a table reaches that table. So this finds too much, and never too little, unless a name is made while
something runs: where that may be, everything is reached. Pure.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from migrator import documents
from migrator.database.schema import Schema
from migrator.database.schema_diff import Change
from migrator.gates.rehearsed import PASSIVE_KINDS
from migrator.gates.unheard import CONCERNS_OTHERS, DYNAMIC, is_named
from migrator.plan import Plan
from migrator.steps.kinds import gate

TABLES = ("table", "view", "materialized_view", "sequence")
ROUTINES = ("function", "procedure", "aggregate")
PARTS = frozenset(
    {
        *("column", "column_order", "constraint", "index", "sequence", "statistics", "trigger", "rule", "policy"),
        *("used_by", "grant", "owner", "owner_grant", "comment", "security_label", "tablespace"),
    }
)
"""What hangs on a table or a routine, and does nothing unless that is touched."""
ABOUT = ("grant", "owner", "owner_grant", "comment", "security_label", "used_by")
"""Of these the name is that of another thing, with its kind."""
MAKES_NAMES = re.compile(
    rf"{DYNAMIC.pattern}|\b((query|table|schema|database|cursor)_to_xml\w*|ts_stat|ts_rewrite|crosstab\w*|connectby)\b",
    re.IGNORECASE,
)
"""Text becomes SQL while it runs."""
LANGUAGE = re.compile(r"\blanguage\s+(?!(sql|plpgsql|c|internal)\b)", re.IGNORECASE)
_FOLLOWS = re.compile(r"\b(partition of|inherits)\b|\bON (DELETE|UPDATE) (CASCADE|SET)\b", re.IGNORECASE)
"""In a table, or a constraint of one: its rows are changed with another table's."""
_FOREIGN_KEY = "FOREIGN KEY"
_ASKED = re.compile(r"\bREFERENCES\s+[^(]+\([^)]*\)")
"""In a foreign key: the text of a body may look the same, and name more."""
_BARE = r"[\w$\x80-\U0010ffff]+"
"""Every byte above 0x7F is a part of a name (src/backend/parser/scan.l), also of spaces and signs."""
_NAME = rf'(?:"(?:[^"]|"")+"|{_BARE})'
_WORD = re.compile(_BARE)
_QUOTED = re.compile(r'(?="((?:[^"]|"")+)")')
"""From each quotation mark to the next: one in a comment or a text makes an end of what is a beginning."""
_LONGEST = 63
"""Bytes of a name, of which more are cut off (NAMEDATALEN)."""
_DOTTED = re.compile(rf"{_NAME}(?:\.{_NAME})+|\S+(?= on )")
_LAST = re.compile(r'(?:"(?:[^"]|"")+"|[^".]+)\Z')


@dataclass(frozen=True)
class Reach:
    everything: bool
    objects: frozenset[str] = frozenset()
    """As "<kind> <name>", without their parts."""
    words: frozenset[str] = frozenset()
    """All that is written in what is reached, in lower case."""
    tables: frozenset[str] = frozenset()
    """The last parts of the names of the tables among the objects, in lower case."""

    def misses(self, change: Change) -> bool:
        """Whether it is out of reach, as it was and as it is."""
        whole = _whole(change.kind, change.name, change.part_of)
        kind = whole.partition(" ")[0]
        if self.everything or whole in self.objects or kind not in (*TABLES, *ROUTINES):
            return False
        if change.kind not in (*TABLES, *ROUTINES, *PARTS) or _is_named(whole, self.words):
            return False
        if is_named(change) and _bare(change.name) in self.words:
            return False
        texts = [text for text in (change.before, change.after) if text is not None]
        return not any(CONCERNS_OTHERS.search(text) and not self.tables.isdisjoint(_words(text)) for text in texts)

    def hears(self, told: str) -> bool:
        """Whether what the server calls so ("function public.f(integer)", "g on public.t") is within, by the words of
        its name: it may have been changed, and put back."""
        name = told.partition("(")[0]
        words = {part for dotted in _DOTTED.findall(name) for part in _words(dotted.split(".", 1)[-1])}
        return self.everything or not self.words.isdisjoint(words)

    def within(self, changes: Iterable[Change]) -> tuple[Change, ...]:
        return tuple(change for change in changes if not self.misses(change))


def reach_of(plan: Plan, before: Schema, *path: str) -> Reach:
    """
    :param before: the schema from which the plan was rehearsed.
    :param path: where its texts look names up.
    """
    groups = _groups(before)
    found: set[str] = set()
    tables: set[str] = set()
    words: set[str] = set()
    fresh = [*_texts(plan), *path, before.role]
    fresh += [text for whole, texts in groups.items() if _is_anywhere(whole.partition(" ")[0]) for text in texts]
    while fresh:
        if any(MAKES_NAMES.search(text) or LANGUAGE.search(text) for text in fresh):
            return Reach(everything=True)
        words.update(word for text in fresh for word in _words(text))
        left = [whole for whole in groups if whole not in found]
        new = [whole for whole in left if _is_named(whole, words) or _follows(whole, groups[whole], tables)]
        found.update(new)
        tables.update(_bare(whole) for whole in new if whole.startswith("table "))
        texts = [text for whole in new for text in groups[whole]]
        fresh = [_ASKED.sub("", text) if text.startswith(_FOREIGN_KEY) else text for text in texts]
    return Reach(False, frozenset(found), frozenset(words), frozenset(tables))


def _is_named(whole: str, words: Collection[str]) -> bool:
    kind, _, name = whole.partition(" ")
    if kind not in ROUTINES:
        return _bare(name) in words
    return '"' in name or _bare(name.partition("(")[0]) in words  # who could say where a quoted name ends


def _is_anywhere(kind: str) -> bool:
    return kind not in (*TABLES, *ROUTINES, *PASSIVE_KINDS)


def _follows(whole: str, texts: Iterable[str], tables: set[str]) -> bool:
    """Whether it is a table that is changed with one of these."""
    return whole.startswith("table ") and any(
        _FOLLOWS.search(text) and not tables.isdisjoint(_words(text)) for text in texts
    )


def _groups(schema: Schema) -> dict[str, list[str]]:
    """By whole object: its text, the names of its parts, and their texts."""
    found: dict[str, list[str]] = defaultdict(list)
    for kind, names in schema.objects.items():
        for name, text in names.items():
            whole = _whole(kind, name, schema.part_of.get(f"{kind} {name}"))
            found[whole] += [text] if whole == f"{kind} {name}" else [_last(name), text]
    return found


def _whole(kind: str, name: str, part_of: str | None) -> str:
    if part_of is not None:
        return part_of
    return name if kind in ABOUT else f"{kind} {name}"


def _texts(plan: Plan) -> Iterator[str]:
    for step in (*plan.steps, *plan.rollback_steps):
        yield from (statement.sql for statement in step.statements)
        if step.kind != gate.KIND:  # its question is no SQL
            yield from _strings(documents.to_dict(step.params))
    yield from plan.assertions


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)


def _words(text: str) -> Iterator[str]:
    for word in (*_WORD.findall(text), *(name.replace('""', '"') for name in _QUOTED.findall(text))):
        yield word.lower()
        if len(word.encode()) > _LONGEST:
            yield word.encode()[:_LONGEST].decode(errors="ignore").lower()


def _bare(name: str) -> str:
    return _last(name).strip('"').replace('""', '"').lower()


def _last(name: str) -> str:
    last = _LAST.search(name)
    return last[0] if last else name
