"""Values that cross an edge: frozen dataclasses to canonical JSON and back, and their digests.

Every document of the pipeline (plan, snapshot record, evidence, reports) is a frozen dataclass of plain
fields. `to_dict` / `from_dict` are the only way in and out, so a document read back equals the one written
and its digest does not depend on key order, Python version or platform.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import sys
import types
import typing
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from enum import Enum
from pathlib import PurePath
from typing import Any, TypeVar, Union

if sys.version_info >= (3, 11):
    from enum import StrEnum
else:

    class StrEnum(str, Enum):
        """Python 3.10's stand-in for enum.StrEnum."""

        def __str__(self) -> str:
            return str(self.value)


T = TypeVar("T")


def to_dict(value: Any) -> Any:
    """The JSON form of a document: dicts, lists, strings, numbers, booleans and None only.

    :raises TypeError: for a value that has no JSON form (a set, bytes, a float that is not finite).
    """
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise TypeError(f"{value!r} has no JSON form")
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_dict(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): to_dict(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_dict(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no JSON form")


def from_dict(cls: type[T], data: Mapping[str, Any]) -> T:
    """Rebuild the document `cls` from its JSON form.

    Unknown keys are ignored, so that an older engine can read what a newer one wrote; a missing key takes the
    field's default.

    :raises ValueError: when a required field is missing or has the wrong shape; the message names the field.
    """
    hints = _hints(cls)  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        if field.name in data:
            try:
                values[field.name] = _restore(hints[field.name], data[field.name])
            except (TypeError, ValueError, KeyError, AttributeError) as exc:
                raise ValueError(f"{cls.__name__}.{field.name}: {exc}") from exc
    try:
        return cls(**values)
    except TypeError as exc:
        raise ValueError(f"{cls.__name__}: {exc}") from exc


def canonical_json(value: Any) -> str:
    """One text per value: sorted keys, no spaces, UTF-8 left as it is."""
    return json.dumps(to_dict(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, as `sha256:<64 hex digits>`."""
    return "sha256:" + hashlib.sha256(canonical_json(value).encode()).hexdigest()


@functools.cache
def _hints(cls: type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _restore(hint: Any, value: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        options = [option for option in typing.get_args(hint) if option is not type(None)]
        return _restore(options[0], value) if len(options) == 1 else value
    if origin is tuple:
        items = typing.get_args(hint)
        if len(items) == 2 and items[1] is Ellipsis:
            return tuple(_restore(items[0], item) for item in value)
        return tuple(_restore(item_hint, item) for item_hint, item in zip(items, value, strict=True))
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        arguments = typing.get_args(hint)
        return {key: _restore(arguments[1], item) for key, item in value.items()} if arguments else dict(value)
    if isinstance(hint, type):
        if dataclasses.is_dataclass(hint):
            return from_dict(hint, value)
        if issubclass(hint, Enum):
            return hint(value)
        if issubclass(hint, datetime):
            return datetime.fromisoformat(value)
        if hint is date:
            return date.fromisoformat(value)
        if hint is float:
            return float(value)
        if hint is timedelta:
            return timedelta(seconds=value)
    return value
