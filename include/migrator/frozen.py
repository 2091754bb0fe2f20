"""`@frozen`: a frozen dataclass that is made three times as fast, for what an analysis makes by the hundred thousand.

`@dataclass(frozen=True)` sets each field through object.__setattr__, which takes most of the time of making one. This
writes them into the instance's dictionary. It also compiles five methods for each class, which takes a tenth of the
time of a start; here all classes share them. All else is the dataclass's: equality, hash, repr, replace(), and that no
field can be set afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from reprlib import recursive_repr
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
    made: Any = dataclass(init=False, repr=False, eq=False)(cls)
    if hasattr(made, "__post_init__"):
        raise TypeError(f"{cls.__name__}: @frozen knows no __post_init__")
    made.__init__ = _init(made)
    for name, method in _methods(made).items():
        if name not in cls.__dict__:
            setattr(made, name, method)
    return cls


def _init(cls: Any) -> Callable[..., None]:
    names: dict[str, Any] = {"MISSING": MISSING}
    parameters, lines = ["self"], ["_written = self.__dict__"]  # a name that no field has
    for item in fields(cls):
        parameter, value = _of(item, names)
        parameters += parameter
        lines.append(f"_written[{item.name!r}] = {value}")
    source = f"def __init__({', '.join(parameters)}):\n" + "".join(f"    {line}\n" for line in lines)
    made: dict[str, Any] = {}
    exec(source, names, made)  # as dataclass() itself makes it; nothing but names of fields goes in
    init: Callable[..., None] = made["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init


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


def _methods(cls: Any) -> dict[str, Callable[..., Any]]:
    values = _values([item.name for item in fields(cls) if item.compare])
    shown = [item.name for item in fields(cls) if item.repr]

    def __eq__(self: Any, other: object) -> bool:
        return values(self) == values(other) if type(other) is type(self) else NotImplemented

    def __hash__(self: Any) -> int:
        return hash(values(self))

    @recursive_repr()
    def __repr__(self: Any) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    return {
        "__eq__": __eq__,
        "__hash__": __hash__,
        "__repr__": __repr__,
        "__setattr__": _refuse_to_set,
        "__delattr__": _refuse_to_delete,
    }


def _values(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda item: tuple(getattr(item, name) for name in names)


def _refuse_to_set(self: Any, name: str, value: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")
