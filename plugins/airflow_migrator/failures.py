"""Engine errors in Airflow's words: retry what may go through later, fail at once on everything else.

The messages are the engine's own; the traceback of a refusal would tell a DBA nothing, so it is cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.exceptions import AirflowFailException

RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception="migrator.errors.TransientError",
            action=RetryAction.RETRY,
            reason="the database could not do this now; the stage is resumable",
        )
    ],
    default=RetryAction.FAIL,
)
"""Without a `retry_delay` of its own, so the task's exponential back-off applies."""

RETRYING: dict[str, Any] = {
    "retries": 4,
    "retry_delay": timedelta(seconds=15),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=5),
    "retry_policy": RETRY_POLICY,
}
ONCE_MORE: dict[str, Any] = {"retries": 1, "retry_delay": timedelta(minutes=1), "retry_policy": RETRY_POLICY}
"""For what runs again in an hour anyway."""
GATE: dict[str, Any] = {
    "retries": 10,
    "retry_delay": timedelta(seconds=5),
    "retry_policy": ExceptionRetryPolicy(
        rules=[
            RetryRule(
                exception="migrator.errors.CardOutdated",
                action=RetryAction.RETRY,
                retry_delay=timedelta(seconds=1),
                reason="the answer was to another card; a new try asks with a new one",
            )
        ],
        default=RetryAction.FAIL,
    ),
}
"""A gate asks once: what was refused stays refused until a person clears it. It asks again when the answer was about
something else, and when the answer was lost: Airflow 3.3.2 takes a task for dead that somebody answers in the very
second in which it is asked, and the scheduler, which does not know the policy, then tries it again."""


@contextmanager
def in_airflow_words() -> Iterator[None]:
    """Translate what the engine raises.

    :raises AirflowFailException: for a fact that a retry cannot change. TransientError and CardOutdated pass as they
    are: the retry policies look for them.
    """
    import psycopg

    from migrator.database.translate import to_engine_error
    from migrator.errors import CardOutdated, MigratorError, TransientError

    try:
        yield
    except psycopg.Error as exc:  # nobody has translated it: whole, it could hold rows
        known = to_engine_error(exc)
        if isinstance(known, TransientError):
            raise known from None
        raise AirflowFailException(str(known)) from None
    except (TransientError, CardOutdated) as exc:
        raise exc.with_traceback(None) from None
    except MigratorError as exc:
        raise AirflowFailException(str(exc)) from None
