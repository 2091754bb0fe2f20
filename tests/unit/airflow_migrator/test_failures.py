"""Engine errors reach Airflow as what they are."""

from __future__ import annotations

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_migrator.failures import GATE, RETRY_POLICY, in_airflow_words
from migrator.errors import CardOutdated, HeldByOther, RollbackFailed, StatementFailed


@pytest.mark.parametrize("error", [RollbackFailed("it failed"), StatementFailed("syntax error at a.sql:3:1")])
def test_what_a_retry_cannot_change_fails_at_once_in_the_engines_words(error: Exception) -> None:
    with pytest.raises(AirflowFailException) as caught, in_airflow_words():
        raise error
    assert str(caught.value) == str(error)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__, "no traceback of the engine in a DBA's log"


def test_what_may_go_through_later_is_left_for_the_retry_policy() -> None:
    error = HeldByOther("held by run 7", holder="7")
    with pytest.raises(HeldByOther) as caught, in_airflow_words():
        raise error
    assert caught.value is error
    assert RETRY_POLICY.evaluate(caught.value, 1, 3).action.value == "retry"


def test_an_answer_to_another_card_is_left_for_the_gates_policy_only() -> None:
    with pytest.raises(CardOutdated) as caught, in_airflow_words():
        raise CardOutdated("plan sha256:b lies there")
    assert str(caught.value) == "plan sha256:b lies there"
    assert GATE["retry_policy"].evaluate(caught.value, 1, 3).action.value == "retry"
    assert RETRY_POLICY.evaluate(caught.value, 1, 3).action.value == "fail"


def test_a_mistake_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError) as caught, in_airflow_words():
        1 / 0  # noqa: B018
    assert caught.traceback[-1].lineno > 0


def test_the_policy_survives_serialisation() -> None:
    again = type(RETRY_POLICY).deserialize(RETRY_POLICY.serialize())
    assert again.serialize() == RETRY_POLICY.serialize()
    assert again.evaluate(HeldByOther(), 1, 3).action.value == "retry"
    assert again.evaluate(ValueError(), 1, 3).action.value == "fail"
