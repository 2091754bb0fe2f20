"""Check a YAML document against a pydantic model and say everything that is wrong in words for its author.

The models are for strangers' input only; what they accept becomes a frozen dataclass. Importing this module
imports pydantic, so nothing on the cached path of the catalogue may do so at its top.
"""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Annotated, Any, TypeVar, Union

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, WithJsonSchema
from pydantic_core import ErrorDetails

from migrator.errors import InvalidInput
from migrator.input.durations import DURATION_PATTERN, SIZE_PATTERN, parse_duration, parse_size
from migrator.input.yaml_source import Document, Key, dotted
from migrator.problems import Problem

Model = TypeVar("Model", bound="InputModel")


class InputModel(BaseModel):
    """A mapping in somebody's YAML file: unknown keys are errors, values are not converted behind people's backs."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=False, coerce_numbers_to_str=False, str_strip_whitespace=True
    )


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    if value == 0 and not isinstance(value, bool):
        return timedelta(0)
    if not isinstance(value, str):
        raise ValueError("must be a duration such as '5 minutes' or '90s'")
    return parse_duration(value)


def _size(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("must be a size such as '64MB'")
    return parse_size(value)


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "pattern": DURATION_PATTERN}, {"const": 0}],
            "examples": ["5 minutes", "90s", "1 hour 30 minutes"],
        }
    ),
]
Size = Annotated[
    int, BeforeValidator(_size), WithJsonSchema({"type": "string", "pattern": SIZE_PATTERN, "examples": ["64MB"]})
]


def validate(model: type[Model], document: Document, *, data: Any = None, at: Key = ()) -> Model:
    """The checked content of `document`, or of `data` when it stands for the part of it at `at`.

    :raises InvalidInput: with every problem: those of the document itself and those that the model finds.
    """
    checked, problems = examine(model, document, data=data, at=at)
    if checked is None or document.problems:
        raise InvalidInput(problems=unique((*document.problems, *problems)))
    return checked


def examine(
    model: type[Model], document: Document, *, data: Any = None, at: Key = ()
) -> tuple[Model | None, tuple[Problem, ...]]:
    """Like `validate`, but hands the model's problems back so that several parts can be checked before stopping."""
    content = document.data if data is None else data
    if not isinstance(content, Mapping):
        wanted = "must be a mapping of keys to values" + (", not a list" if isinstance(content, list) else "")
        return None, (problem(document, at, wanted),)
    try:
        return model.model_validate(content), ()
    except ValidationError as error:
        return None, tuple(_translate(model, document, at, detail) for detail in error.errors(include_url=False))


def problem(document: Document, key: Key, message: str, hint: str | None = None) -> Problem:
    place = document.place(key)
    return Problem(document.file, message, place.line, place.column, dotted(key) or None, hint)


def unique(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Without repetitions, by place."""
    return tuple(sorted(dict.fromkeys(problems), key=lambda one: (one.file, one.line or 0, one.column or 0)))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """A hint that names the known word most like `word`, or all of them when there are few."""
    choices = [str(choice) for choice in known]
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(choices)}" if choices and len(choices) <= 24 else None


def _translate(model: type[InputModel], document: Document, at: Key, detail: ErrorDetails) -> Problem:
    key = (*at, *_real_key(document, at, detail["loc"]))
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return problem(document, key, "unknown key", nearest(str(key[-1]), _fields_at(model, detail["loc"][:-1])))
    if kind == "missing":
        return problem(document, key, "is missing")
    if kind == "union_tag_not_found":
        return problem(document, (*key, _tag_key(context)), "is missing")
    if kind == "union_tag_invalid":
        choices = [choice.strip(" '") for choice in str(context["expected_tags"]).split(",")]
        hint, wrong = nearest(str(context["tag"]), choices), _shown(context["tag"])
        return problem(document, (*key, _tag_key(context)), f"must be one of {', '.join(choices)}, not {wrong}", hint)
    if kind in ("enum", "literal_error"):
        choices = [choice.strip(" '") for choice in str(context["expected"]).replace(" or ", ", ").split(",")]
        hint = nearest(value, choices) if isinstance(value, str) else None
        return problem(document, key, f"must be one of {', '.join(choices)}, not {_shown(value)}", hint)
    if kind in ("value_error", "assertion_error"):
        return problem(document, key, str(context.get("error", detail["msg"])))
    if value is None:
        return problem(document, key, f"is empty; {_WANTED.get(kind, detail['msg'].lower())}")
    if kind == "string_type" and isinstance(value, (int, float, bool)):
        return problem(document, key, f"must be text, not {_shown(value)}", "put it in quotes")
    if kind in _WANTED:
        return problem(document, key, f"{_WANTED[kind]}, not {_shown(value)}")
    return problem(document, key, detail["msg"][0].lower() + detail["msg"][1:])


_WANTED: Mapping[str, str] = {
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping of keys to values",
    "mapping_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "model_attributes_type": "must be a mapping of keys to values",
    "date_type": "must be a date such as 2026-12-31",
    "date_parsing": "must be a date such as 2026-12-31",
    "date_from_datetime_parsing": "must be a date such as 2026-12-31",
    "date_from_datetime_inexact": "must be a date such as 2026-12-31, without a time",
}


def _tag_key(context: Mapping[str, Any]) -> str:
    return str(context["discriminator"]).strip("'")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _real_key(document: Document, at: Key, location: tuple[int | str, ...]) -> Key:
    """pydantic's location without the parts that name validators and union members: those are nowhere in the file."""
    key: Key = ()
    for index, part in enumerate(location):
        last = index == len(location) - 1
        known = (*at, *key, part) in document.keys or (*at, *key, part) in document.values
        if known or isinstance(part, int) or (last and part != "[key]" and part.isidentifier()):
            key = (*key, part)
    return key


def _fields_at(model: Any, location: tuple[int | str, ...]) -> tuple[str, ...]:
    """The keys that the model knows at `location`."""
    current: Any = model
    for part in location:
        if isinstance(current, type) and issubclass(current, BaseModel):
            field = current.model_fields.get(str(part)) or next(
                (one for one in current.model_fields.values() if one.alias == part), None
            )
            current = field.annotation if field else None
        else:
            current = _tagged(current, part) or _member(current)
        current = _unwrapped(current)
    if isinstance(current, type) and issubclass(current, BaseModel):
        return tuple(field.alias or name for name, field in current.model_fields.items())
    return ()


def _tagged(hint: Any, tag: Any) -> Any:
    """The model of a union whose own literal is `tag`."""
    for option in typing.get_args(hint):
        if isinstance(option, type) and issubclass(option, BaseModel):
            literals = (typing.get_args(_unwrapped(field.annotation)) for field in option.model_fields.values())
            if any(tag in values for values in literals):
                return option
    return None


def _unwrapped(hint: Any) -> Any:
    """`X` of `X | None` and of `Annotated[X, ...]`; a union of models as it is."""
    while True:
        if typing.get_origin(hint) is Annotated:
            hint = typing.get_args(hint)[0]
        elif typing.get_origin(hint) in (Union, types.UnionType):
            options = [option for option in typing.get_args(hint) if option is not type(None)]
            if len(options) > 1 and all(isinstance(one, type) and issubclass(one, BaseModel) for one in options):
                return hint
            hint = options[0]
        else:
            return hint


def _member(hint: Any) -> Any:
    """The element of a list or the value of a mapping."""
    arguments = typing.get_args(hint)
    if not arguments:
        return None
    return arguments[1] if len(arguments) == 2 and arguments[1] is not Ellipsis else arguments[0]
