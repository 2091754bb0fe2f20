"""begin: from here on something may be applied. It does nothing, so it cannot fail: rollback and outcome, its
teardowns, run whatever becomes of the tasks after it."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.providers.standard.operators.empty import EmptyOperator


class PgMigrationBeginOperator(EmptyOperator):
    """Airflow marks an EmptyOperator as done without a worker, so there is nothing in it that could fail.

    :param version: the migration. :param target: name of the target; both for Airflow's lists only.
    """

    stage: ClassVar[str] = "begin"
    ui_color = "#ffffff"

    def __init__(self, *, version: str, target: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.version = version
        self.target = target
