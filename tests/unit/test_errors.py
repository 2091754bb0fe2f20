"""Errors carry their own wording and survive the trip between processes."""

from __future__ import annotations

import inspect
import pickle

import pytest

from migrator import errors
from migrator.problems import Problem

CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, errors.MigratorError)]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_error_has_a_default_message_and_can_be_pickled(cls: type[errors.MigratorError]) -> None:
    assert str(cls())
    again = pickle.loads(pickle.dumps(cls("what happened", sqlstate="55P03")))
    assert type(again) is cls
    assert str(again) == "what happened"
    assert again.sqlstate == "55P03"


def test_an_unknown_field_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="StatementFailed has no field 'colour'"):
        _ = errors.StatementFailed("x").colour


def test_invalid_input_lists_its_problems_in_order() -> None:
    error = errors.InvalidInput(
        problems=(
            Problem("b.yaml", "is unknown", line=2, column=1, key="vrsion", hint='did you mean "version"?'),
            Problem("a.yaml", "is empty"),
        )
    )
    assert str(error) == 'a.yaml: is empty\nb.yaml:2:1: vrsion: is unknown (did you mean "version"?)'
    assert pickle.loads(pickle.dumps(error)).problems == error.problems
