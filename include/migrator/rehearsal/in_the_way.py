"""The server names the first row that it dislikes; people want to know how many there are, and in what else."""

from __future__ import annotations

import logging
from dataclasses import replace

from migrator.analysis import data_checks
from migrator.backups.trial import Trial
from migrator.database import session
from migrator.errors import MigratorError
from migrator.evidence import Check, Verdict
from migrator.parsing.statements import parse
from migrator.plan import Plan


def look_for(trial: Trial, plan: Plan, log: logging.Logger) -> tuple[Check, ...]:
    """After apply has failed, on the copy as it was. Never raises: the failure of apply is what people must see."""
    statements = [
        replace(item, index=statement.index)
        for step in plan.steps
        for statement in step.statements
        for item in parse(statement.sql, file=statement.file).statements[:1]
    ]
    try:
        with (
            trial.texts_on_the_origin() as pristine,
            session.connect(pristine, purpose="verify", version=plan.version) as conn,
        ):
            found = data_checks.violations(data_checks.look_for(conn, statements))
    except MigratorError as exc:
        log.warning("nobody could look for the rows that made it fail: %s", exc)
        return ()
    return (Check("data", Verdict.FAILED, "; ".join(map(str, found))),) if found else ()
