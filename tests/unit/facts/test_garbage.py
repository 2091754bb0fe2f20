"""The garbage collector pauses for a while, and goes on whatever happens."""

from __future__ import annotations

import gc

import pytest

from migrator.facts.garbage import no_collection


def test_it_goes_on_after_a_failure() -> None:
    seen: list[bool] = []

    def fails() -> None:
        with no_collection():
            seen.append(gc.isenabled())
            raise LookupError

    with pytest.raises(LookupError):
        fails()
    assert [*seen, gc.isenabled()] == [False, True]


def test_it_stays_off_where_it_was_off() -> None:
    gc.disable()
    try:
        with no_collection():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()
