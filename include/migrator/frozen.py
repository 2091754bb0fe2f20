"""`@frozen`: a frozen dataclass that is made three times as fast, for what an analysis makes by the hundred thousand.

`@dataclass(frozen=True)` sets each field through object.__setattr__, which takes most of the time of making one. This
writes them into the instance's dictionary. All else is the dataclass's: equality, hash, repr, replace(), and that no
field can be set afterwards.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_):
        return lambda function: function


T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    cls.__doc__ = cls.__doc__ or cls.__name__  # else dataclass() works out a signature for it
    made: Any = dataclass(frozen=True, init=False)(cls)
    if hasattr(made, "__post_init__"):
        raise TypeError(f"{cls.__name__}: @frozen knows no __post_init__")
    names: dict[str, Any] = {"MISSING": MISSING}
    parameters, lines = ["self"], ["values = self.__dict__"]
    for item in fields(made):
        parameter, value = _of(item, names)
        parameters += parameter
        lines.append(f"values[{item.name!r}] = {value}")
    source = f"def __init__({', '.join(parameters)}):\n" + "".join(f"    {line}\n" for line in lines)
    made_here: dict[str, Any] = {}
    exec(source, names, made_here)  # as dataclass() itself makes it; nothing but names of fields goes in
    made_here["__init__"].__qualname__ = f"{cls.__qualname__}.__init__"
    made.__init__ = made_here["__init__"]
    return cls


def _of(item: Field[Any], names: dict[str, Any]) -> tuple[list[str], str]:
    """The parameter of a field, if it has one, and the expression for its value."""
    name = item.name
    if item.default_factory is not MISSING:
        names[f"_factory_{name}"] = item.default_factory
        new = f"_factory_{name}()"
        return ([f"{name}=MISSING"], f"{new} if {name} is MISSING else {name}") if item.init else ([], new)
    if item.default is not MISSING:
        names[f"_default_{name}"] = item.default
        return ([f"{name}=_default_{name}"], name) if item.init else ([], f"_default_{name}")
    return [name], name
