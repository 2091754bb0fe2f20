"""targets.yaml: what it means, and that nothing in it ever ends in a traceback."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migrator.errors import InvalidInput, UsageError
from migrator.plan import Risk
from migrator.problems import Problem
from migrator.targets.targets import IdleSessions, OrderPolicy
from migrator.targets.targets_model import TargetModel, load_targets

ONE = {"environment": "production", "connection": "a", "copies_connection": "b"}
PEOPLE = {"ann": "ann@example.com", "bob": "bob@example.com"}


def write(folder: Path, content: Any) -> Path:
    file = folder / "targets.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return file


def refused(folder: Path, content: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        load_targets(write(folder, content))
    return str(caught.value)


def test_the_shipped_file(repository: Path) -> None:
    targets = load_targets(repository / "include" / "config" / "targets.yaml")
    assert list(targets.targets) == ["development", "staging", "production"]
    production = targets.get("production")
    assert production.reviews == {Risk.LOW: 1, Risk.MEDIUM: 2, Risk.HIGH: 2}
    assert production.out_of_order is OrderPolicy.REJECT
    assert production.freezes[0].except_emergency
    with pytest.raises(UsageError, match="did you mean 'production'"):
        targets.get("prodution")


def test_a_target_overrides_single_keys_of_a_default(tmp_path: Path) -> None:
    content = {
        "defaults": {"reviewers": PEOPLE, "snapshot": {"keep": 5, "retention": "10 days"}},
        "targets": {"one": {**ONE, "snapshot": {"keep": 1}}},
    }
    one = load_targets(write(tmp_path, content)).get("one")
    assert (one.snapshot.keep, one.snapshot.retention_days) == (1, 10)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"out_of_order": "perhaps"}, ("targets.one.out_of_order", "reject")),
        ({"allow_out_of_order": True}, ("allow_out_of_order", "did you mean 'out_of_order'")),
        ({"reviews": {"low": 3}}, ("3 reviews are needed", "2 people")),
        ({"freezes": [{"name": "x", "start": "2026-01-02", "end": "2026-01-01"}]}, ("freezes[0].end", "after 'start'")),
        ({"windows": [{"days": ["someday"], "start": "02:00", "duration": "1 hour"}]}, ("someday",)),
        ({"notifications": [{"kind": "smtp"}]}, ("needs a 'connection'", "needs 'to'")),
        ({"review_ttl": "-1 days"}, ("review_ttl",)),
    ],
)
def test_what_is_wrong_is_said_with_file_and_key(
    tmp_path: Path, changes: dict[str, Any], words: tuple[str, ...]
) -> None:
    text = refused(tmp_path, {"defaults": {"reviewers": PEOPLE}, "targets": {"one": {**ONE, **changes}}})
    for word in ("targets.yaml", *words):
        assert word in text


def test_a_wrong_default_is_one_problem(tmp_path: Path) -> None:
    content = {"defaults": {"review_ttl": "soon"}, "targets": {"one": ONE, "two": ONE}}
    assert refused(tmp_path, content).count("review_ttl") == 1


NAMES = [*TargetModel.model_fields, "days", "start", "end", "duration", "timezone", "name", "kind", "to", "retention"]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["02:00", "3 hours", "UTC", "mon", "smtp", "999999999 days", "1e999MB", "2026-12-20T00:00", "-1 days"]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.integers() | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=10,
)
TARGETS = st.dictionaries(
    st.sampled_from(["a", "b", "A!", ""]), st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8), max_size=2
)


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(defaults=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4), targets=TARGETS)
def test_any_values_give_a_message(tmp_path: Path, defaults: dict[str, Any], targets: dict[str, Any]) -> None:
    expect_a_message(write(tmp_path, {"defaults": defaults, "targets": targets}))


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=80) | st.text(alphabet=":-[]{}&*!|>'\"#%@`,? \n\tabc01", max_size=80).map(str.encode))
def test_any_bytes_give_a_message(tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "targets.yaml"
    file.write_bytes(raw)
    expect_a_message(file)


def expect_a_message(file: Path) -> None:
    """Either it is read, or every problem has a text and the file."""
    problems = problems_of(file)
    assert problems is None or problems
    for problem in problems or ():
        assert problem.file == str(file)
        assert problem.message


def problems_of(file: Path) -> tuple[Problem, ...] | None:
    try:
        load_targets(file)
    except InvalidInput as refused:
        return tuple(refused.problems)
    return None


def test_sessions_that_may_be_ended(tmp_path: Path) -> None:
    """Of the defaults, and less of it in one target; nobody's where it stands nowhere."""
    idle = {"end_after": "10 minutes", "roles": ["reports"]}
    two = {"a": {**ONE, "environment": "development"}, "b": {**ONE, "environment": "development"}}
    two["b"]["idle_in_transaction"] = {"end_after": "1 hour"}  # type: ignore[assignment]
    targets = load_targets(write(tmp_path, {"defaults": {"idle_in_transaction": idle}, "targets": two}))
    assert targets.get("a").idle_in_transaction == IdleSessions(timedelta(minutes=10), ("reports",))
    assert targets.get("b").idle_in_transaction == IdleSessions(timedelta(hours=1), ("reports",))
    assert load_targets(write(tmp_path, {"targets": {"a": two["a"]}})).get("a").idle_in_transaction is None


@pytest.mark.parametrize(
    "idle, said",
    [
        ({"end_after": "0.5 seconds", "roles": ["a"]}, "end_after"),
        ({"end_after": "5 minutes", "roles": []}, "roles"),
        ({"end_after": "5 minutes"}, "roles"),
        ({"roles": ["a"]}, "end_after"),
        ({"end_after": "5 minutes", "roles": ["a"], "rolse": ["b"]}, "rolse"),
    ],
)
def test_sessions_that_may_be_ended_are_named_one_by_one(tmp_path: Path, idle: Any, said: str) -> None:
    one = {**ONE, "environment": "development", "idle_in_transaction": idle}
    assert said in refused(tmp_path, {"targets": {"a": one}})
