"""`migrator new --kind KIND`: options made of what the kinds say of their parameters, and the step they describe."""

from __future__ import annotations

import argparse
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any

from migrator.catalogue.metadata import FILE_KEY
from migrator.errors import UsageError
from migrator.input.described import DESCRIPTION, PATTERN, WANTED, refused
from migrator.plan import Suggestion
from migrator.steps.kinds import WRITABLE
from migrator.steps.recipe import WritableKind

NOT_ASKED = (FILE_KEY, "transaction")
"""Parameters that follow from the file that is written."""
DEST = "step_"
NAMING = ("index", "constraint", "table", "tables")
"""Parameters that tell a step from others of its kind; the first that is given makes the migration's name."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "step", "With --kind the migration is one step of that kind, which is written out: SQL, rollback, assertions."
    )
    group.add_argument("--kind", choices=[kind.KIND for kind in WRITABLE], metavar="KIND", help="one of %(choices)s")
    for name, asked in _options().items():
        flag, told = _flag(name), _told(asked)
        hint = _hint(*asked[0])
        if hint is bool:
            group.add_argument(flag, dest=DEST + name, action="store_true", default=None, help=told)
            continue
        action = "append" if typing.get_origin(hint) is tuple else "store"
        kind = int if hint is int else str
        group.add_argument(flag, dest=DEST + name, type=kind, action=action, metavar=name.upper(), help=told)
    group.add_argument("--undo", metavar="SQL", help="what the rollback script says, where the kind does not know it")


def step_of(args: argparse.Namespace) -> Suggestion | None:
    """The step that the options describe; None without --kind.

    :raises UsageError: an option is missing, is wrong, or is another kind's.
    """
    given = {name: value for name in _options() if (value := getattr(args, DEST + name)) is not None}
    if args.kind is None:
        if given:
            raise UsageError(f"{_flag(next(iter(given)))} describes a step: say of which --kind")
        return None
    kind = next(one for one in WRITABLE if args.kind == one.KIND)
    known = {item.name: item for _, item in _asked(kind)}
    if unknown := [name for name in given if name not in known]:
        takes = ", ".join(map(_flag, known))
        raise UsageError(f"{_flag(unknown[0])}: --kind {kind.KIND} does not take it; it takes {takes}")
    if missing := [name for name, item in known.items() if item.default is MISSING and name not in given]:
        raise UsageError(f"--kind {kind.KIND} needs {', '.join(map(_flag, missing))}")
    for name, value in given.items():
        _check(known[name], value)
    own = {item.name for item in fields(kind.PARAMETERS)}
    parameters = {name: value for name, value in given.items() if name in own}
    return Suggestion(kind.KIND, parameters, _file(kind, given), args.undo and f"{args.undo.strip().rstrip(';')};\n")


def title(steps: typing.Sequence[Suggestion]) -> str:
    """What the migration is called where nobody says it: "constraint messages_body_check"."""
    from migrator.parsing.build import relation_text
    from migrator.parsing.statements import parse

    step = next((one for one in steps if one.kind != "sql"), steps[0])
    given = next((step.parameters[key] for key in NAMING if key in step.parameters), "")
    if not given and step.sql:
        tree = parse(step.sql, file="").statements[0].tree
        given = getattr(tree, "idxname", "") or relation_text(tree.relation)
    return f"{step.kind} {given if isinstance(given, str) else given[0]}".replace("_", " ")


def _options() -> Mapping[str, list[tuple[WritableKind, Field[Any]]]]:
    """By parameter, the kinds that take it. One of the same name is one option."""
    found: dict[str, list[tuple[WritableKind, Field[Any]]]] = {}
    for kind in WRITABLE:
        for _, item in _asked(kind):
            found.setdefault(item.name, []).append((kind, item))
    return found


def _asked(kind: WritableKind) -> Iterator[tuple[type[Any], Field[Any]]]:
    for source in filter(None, (kind.DRAFT, kind.PARAMETERS)):
        yield from ((source, item) for item in fields(source) if item.name not in NOT_ASKED)


def _hint(kind: WritableKind, item: Field[Any]) -> Any:
    """Its type, without None."""
    source = next(source for source, one in _asked(kind) if one is item)
    hint = typing.get_type_hints(source)[item.name]
    options = [one for one in typing.get_args(hint) if one is not type(None)]
    return options[0] if type(None) in typing.get_args(hint) else hint


def _told(asked: list[tuple[WritableKind, Field[Any]]]) -> str:
    """Each description once, with the kinds that it is of."""
    texts: dict[str, list[str]] = {}
    for kind, item in asked:
        texts.setdefault(item.metadata[DESCRIPTION].replace("%", "%%"), []).append(kind.KIND)
    return "; ".join(f"of {', '.join(kinds)}: {text.replace('`', '').rstrip('.')}" for text, kinds in texts.items())


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _check(item: Field[Any], value: Any) -> None:
    pattern = item.metadata[PATTERN]
    for text in value if isinstance(value, list) else (value,):
        wrong = refused(text, pattern, item.metadata[WANTED]) if pattern else None
        if wrong:
            raise UsageError(f"{_flag(item.name)}: {wrong}")


def _file(kind: WritableKind, given: Mapping[str, Any]) -> str:
    """One statement: what an option says must not be more than its part of it."""
    from migrator.parsing.statements import parse

    if kind.DRAFT is None:
        return ""
    asked = {item.name for item in fields(kind.DRAFT)}
    try:
        sql = kind.draft(kind.DRAFT(**{name: value for name, value in given.items() if name in asked}))
    except ValueError as exc:
        raise UsageError(f"--kind {kind.KIND} {exc}") from exc
    parsed = parse(sql, file="")
    if parsed.problems:
        raise UsageError(f"the options make no statement: {parsed.problems[0].message}, in: {sql}")
    if len(parsed.statements) != 1:
        raise UsageError(f"the options make several statements; a step of kind {kind.KIND} has one: {sql}")
    return sql
