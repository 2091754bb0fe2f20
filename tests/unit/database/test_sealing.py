"""What only who knows a connection's password can write."""

from __future__ import annotations

import pytest

from migrator.database import sealing
from migrator.database.session import Endpoint

SECRET = Endpoint("host=db user=migrator password=secret")


def test_another_password_or_purpose_is_another_key() -> None:
    keys = {
        sealing.key_of(SECRET, "reviews"),
        sealing.key_of(SECRET, "documents"),
        sealing.key_of(Endpoint("host=db user=migrator password=other"), "reviews"),
    }
    assert len(keys) == 3
    assert sealing.key_of(Endpoint("postgresql://migrator:secret@elsewhere/x"), "reviews") in keys


def test_a_connection_without_a_password_has_none() -> None:
    assert sealing.key_of(Endpoint("host=db user=migrator"), "reviews") is None


def test_a_secret_of_its_own_outlives_the_password() -> None:
    kept, since = (Endpoint(f"host=db password={word}", seal_secret="stays") for word in ("one", "two"))
    assert sealing.key_of(kept, "reviews") == sealing.key_of(since, "reviews") is not None
    assert sealing.key_of(kept, "reviews") != sealing.key_of(Endpoint("host=db password=one"), "reviews")
    assert "stays" not in repr(kept)


@pytest.mark.parametrize("given", [None, "", "f" * 64, "\ud800", 5])
def test_what_is_no_seal_does_not_hold(given: object) -> None:
    assert not sealing.holds(given, b"key", "one", "two")


def test_parts_are_told_apart() -> None:
    made = sealing.seal(b"key", "one", "two")
    assert sealing.holds(made, b"key", "one", "two")
    assert not sealing.holds(made, b"key", "onetwo", "")
    assert not sealing.holds(made, b"other", "one", "two")
