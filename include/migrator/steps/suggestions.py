"""Steps that rules suggest and `migrator new` writes: checked against their kind, rendered as an author writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from migrator.frozen import frozen
from migrator.parsing.statements import parse
from migrator.plan import Suggestion
from migrator.steps.contract import StepKind
from migrator.steps.kinds import WRITABLE, kind_named, parameters_of
from migrator.steps.recipe import Changes, Recipe

NAMES = {"sql": "at_once"}
"""Of steps whose kind says nothing about what they do."""


@frozen
class Composed:
    """Everything of a migration that follows from its steps."""

    steps: str
    """The entries of `steps:`."""
    files: dict[str, str]
    """SQL by file name."""
    undo: str | None
    """The rollback script; "" where all steps undo themselves. None: not all of it can be undone."""
    holds: tuple[str, ...]
    changes: Changes | None
    """None: not known."""


def as_yaml(*suggestions: Suggestion) -> str:
    """The entries of `steps:` in the metadata; below each what is in its file, as a comment.

    :raises NeedsHuman: there is no such kind. :raises ValueError: the kind does not take this.
    """
    lines: list[str] = []
    for name, suggestion in _named(suggestions):
        lines += _entry(name, suggestion)
        if suggestion.sql:
            lines += ["  # the file:", *(f"  #   {line}".rstrip() for line in suggestion.sql.rstrip().splitlines())]
    return "\n".join(lines)


def composed(suggestions: Sequence[Suggestion]) -> Composed:
    """:raises ValueError: a kind does not take what it is given; told is why."""
    named = list(_named(suggestions))
    recipes = [_recipe(suggestion) for _, suggestion in named]
    undone = [
        suggestion.undo if suggestion.undo is not None else recipe.undo
        for (_, suggestion), recipe in zip(named, recipes, strict=True)
    ]
    return Composed(
        steps="\n".join(line for name, suggestion in named for line in _entry(name, suggestion)),
        files={f"{name}.sql": suggestion.sql for name, suggestion in named if suggestion.sql},
        undo=None if None in undone else "\n".join(text for text in reversed(undone) if text),
        holds=tuple(dict.fromkeys(text for recipe in recipes for text in recipe.holds)),
        changes=_together([recipe.changes for recipe in recipes]),
    )


def _named(suggestions: Sequence[Suggestion]) -> Iterator[tuple[str, Suggestion]]:
    """Each with a name of its own."""
    seen: dict[str, int] = {}
    for suggestion in suggestions:
        name = NAMES.get(suggestion.kind, suggestion.kind)
        number = seen[name] = seen.get(name, 0) + 1
        yield f"{name}_{number}" if number > 1 else name, suggestion


def _entry(name: str, suggestion: Suggestion) -> list[str]:
    _checked(kind_named(suggestion.kind), suggestion)
    file = {"file": f"{name}.sql"} if suggestion.sql else {}
    given = {**file, **suggestion.parameters}
    return [f"- name: {name}", f"  kind: {suggestion.kind}", *(f"  {key}: {_value(given[key])}" for key in given)]


def _checked(kind: StepKind, suggestion: Suggestion) -> Any:
    """The kind's own parameters."""
    what = f"a step of kind {suggestion.kind!r}"
    unknown = suggestion.parameters.keys() - kind.PARAMETERS.__dataclass_fields__.keys()
    if unknown:
        raise ValueError(f"{what} was suggested with {', '.join(sorted(unknown))}, which it does not know")
    parameters = parameters_of(kind, suggestion.parameters)
    for key, text, hint in kind.contradictions(parameters):
        raise ValueError(f"{what}: {key}: {text}" + (f" ({hint})" if hint else ""))
    if suggestion.sql:
        parsed = parse(suggestion.sql, file="its file")
        for problem in (*parsed.problems, *kind.problems(parsed)):
            raise ValueError(f"{what}: {problem.message}" + (f" ({problem.hint})" if problem.hint else ""))
    return parameters


def _recipe(suggestion: Suggestion) -> Recipe:
    for kind in WRITABLE:
        if suggestion.kind == kind.KIND and (kind.DRAFT is None or suggestion.sql):
            return kind.recipe(_checked(kind, suggestion), suggestion.sql)
    return Recipe(undo=None, changes=None)


def _together(all_changes: Sequence[Changes | None]) -> Changes | None:
    """None where one of them is not known."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for changes in all_changes:
        if changes is None:
            return None
        for section, kinds in changes.items():
            for key, names in kinds.items():
                into = found.setdefault(section, {})
                into[key] = (*into.get(key, ()), *names)
    return found


def _value(value: Any) -> str:
    """JSON, which is YAML; a list in one line."""
    return json.dumps(value, ensure_ascii=False)
