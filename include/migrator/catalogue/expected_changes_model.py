"""The rules for `schema_changes.yaml`: three sections, in each the names of objects by kind."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, create_model

from migrator.catalogue.expected_changes import KINDS, OTHER, SECTIONS, ExpectedChanges
from migrator.errors import InvalidInput
from migrator.input.validation import InputModel, examine, problem, unique
from migrator.input.yaml_source import Document, read
from migrator.problems import Problem

Name = Annotated[str, Field(min_length=1, max_length=500)]
_PART = r'(?:[a-z_][a-z0-9_$]*|"(?:[^"]|"")+")'
_PARTS = re.compile(rf"{_PART}(\.{_PART})*")
"""Dotted names as PostgreSQL writes them."""
DOTS = {"table": 1, "index": 1, "sequence": 1, "view": 1, "materialized_view": 1, "column": 2, "constraint": 2,
        "trigger": 2, "rule": 2, "policy": 2, "function": 1, "procedure": 1, "aggregate": 1, "type": 1,
        "statistics": 1, "schema": 0, "extension": 0}  # fmt: skip
"""How many dots a name of each kind has: a table is schema.table, a column schema.table.column."""
_EXAMPLES = {0: "analytics", 1: "public.messages", 2: "public.messages.tenant_id"}

SectionModel: type[InputModel] = create_model(
    "SectionModel",
    __base__=InputModel,
    __doc__="Names of objects, by kind.",
    **{
        plural: (tuple[Name, ...], Field(default=(), description=f"Names of {plural.replace('_', ' ')}."))
        for plural in KINDS
    },
    **{OTHER: (tuple[Name, ...], Field(default=(), description='Rarer objects, as "<kind> <name>".'))},
)  # type: ignore[call-overload]


class ExpectedChangesModel(InputModel):
    """What a migration promises to change: `schema_changes.yaml`."""

    added: SectionModel = Field(default_factory=SectionModel, description="What comes.")  # type: ignore[valid-type]
    dropped: SectionModel = Field(default_factory=SectionModel, description="What goes.")  # type: ignore[valid-type]
    changed: SectionModel = Field(default_factory=SectionModel, description="What stays, changed.")  # type: ignore[valid-type]


def load_expected(path: Path, *, file: str | None = None) -> ExpectedChanges:
    """What the file `path` declares.

    :raises InvalidInput: with everything that is wrong at once, each with file, line and key.
    """
    return check(read(path, file=file))


def check(document: Document) -> ExpectedChanges:
    """What a document declares. An empty one promises that nothing changes (a data migration).

    :raises InvalidInput: with every problem.
    """
    data = {} if document.data is None else document.data
    if isinstance(data, dict):  # `added:` with nothing under it is what remains when the last line is deleted
        data = {key: {} if value is None and key in SECTIONS else value for key, value in data.items()}
    model, problems = examine(ExpectedChangesModel, document, data=data)
    found: list[Problem] = [*document.problems, *problems]
    sections: dict[str, dict[str, tuple[str, ...]]] = {section: {} for section in SECTIONS}
    if model is not None:
        for section, names in sections.items():
            content: Any = getattr(model, section)
            for plural in (*KINDS, OTHER):
                for index, name in enumerate(getattr(content, plural)):
                    kind, name, wrong = _judge(plural, name)
                    if wrong is None and name in names.get(kind, ()):
                        wrong = f"{name!r} is listed twice"
                    if wrong is not None:
                        found.append(problem(document, (section, plural, index), wrong))
                    names[kind] = (*names.get(kind, ()), name)
    if found:
        raise InvalidInput(problems=unique(found))
    return ExpectedChanges(**sections)


def _judge(plural: str, name: str) -> tuple[str, str, str | None]:
    """Kind, name, and what is wrong with the name."""
    if plural == OTHER:
        kind, _, rest = name.partition(" ")
        if not rest or not re.match(r"[a-z_]+\Z", kind):
            return kind, rest, f"{name!r} is not '<kind> <name>'"
        known = next((key for key, value in KINDS.items() if value == kind), None)
        return kind, rest, f"has a key of its own: {known!r}" if known else None
    kind = KINDS[plural]
    wanted = DOTS.get(kind)
    if wanted is None:
        return kind, name, None
    match = _PARTS.match(name)
    dots = len(re.findall(_PART, match[0])) - 1 if match else -1
    rest = name[match.end() :] if match else name
    takes_arguments = kind in ("function", "procedure", "aggregate")
    if match is None or (rest and not (takes_arguments and rest.startswith("("))) or (takes_arguments and not rest):
        shape = "public.total(integer, text)" if takes_arguments else _EXAMPLES[wanted]
        return kind, name, f"{name!r} is not the name of a {kind.replace('_', ' ')}: write it like '{shape}'"
    if dots != wanted:
        text = (
            f"{name!r} needs its schema: write it like '{_EXAMPLES[wanted]}'"
            if dots < wanted
            else (f"{name!r} has too many parts: write it like '{_EXAMPLES[wanted]}'")
        )
        return kind, name, text
    return kind, name, None
