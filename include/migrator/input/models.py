"""From a described dataclass to the pydantic model that reads it."""

from __future__ import annotations

import typing
from dataclasses import MISSING, fields
from typing import Annotated, Any

from pydantic import AfterValidator, Field, create_model

from migrator.input.described import DESCRIPTION, PATTERN, WANTED, refused
from migrator.input.validation import InputModel


def model_of(parameters: type[Any], *, name: str, base: type[InputModel], **more: Any) -> type[InputModel]:
    """A model with the fields of `base`, those in `more` (as `create_model` takes them), then those of `parameters`."""
    hints = typing.get_type_hints(parameters)
    own: dict[str, Any] = {}
    for item in fields(parameters):
        hint = _checked(hints[item.name], item.metadata[PATTERN], item.metadata[WANTED])
        default = ... if item.default is MISSING else item.default
        own[item.name] = (hint, Field(default=default, description=item.metadata[DESCRIPTION]))
    made: type[InputModel] = create_model(name, __base__=base, __doc__=base.__doc__, **more, **own)
    return made


def _checked(hint: Any, pattern: str | None, wanted: str) -> Any:
    if pattern is None:
        return hint

    def check(value: Any) -> Any:
        for text in value if isinstance(value, tuple) else (value,):
            wrong = None if text is None else refused(text, pattern, wanted)
            if wrong:
                raise ValueError(wrong)
        return value

    return Annotated[hint, AfterValidator(check)]
