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
GATE: dict[str, Any] = {"retries": 0}
"""A gate asks once: what was refused stays refused until a person clears it."""


@contextmanager
def in_airflow_words() -> Iterator[None]:
    """Translate what the engine raises.

    :raises AirflowFailException: for a fact that a retry cannot change. A TransientError passes as it is: the retry
    policy looks for it.
    """
    import psycopg

    from migrator.database.translate import to_engine_error
    from migrator.errors import MigratorError, TransientError

    try:
        yield
    except psycopg.Error as exc:  # nobody has translated it: whole, it could hold rows
        known = to_engine_error(exc)
        if isinstance(known, TransientError):
            raise known from None
        raise AirflowFailException(str(known)) from None
    except TransientError as exc:
        raise exc.with_traceback(None) from None
    except MigratorError as exc:
        raise AirflowFailException(str(exc)) from None
