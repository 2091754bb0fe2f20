"""What made apply fail: all the rows of which the server names the first one that it dislikes, or a role that is the
copy's lack, or the target's."""

from __future__ import annotations

import logging
import re
from dataclasses import replace

from migrator.analysis import data_checks
from migrator.backups.copies import Copy
from migrator.backups.trial import Trial
from migrator.database import session
from migrator.errors import MigratorError
from migrator.evidence import Check, Verdict
from migrator.parsing.statements import parse
from migrator.plan import Plan
from migrator.rehearsal.original import Original

_ROLE = re.compile(r'role "(?P<name>(?:[^"]|"")+)"', re.IGNORECASE)
STATES = ("42704", "42501", "22023")
"""A role is not there; may not be become; is not there for SET ROLE."""


def look_for(
    trial: Trial, plan: Plan, original: Original, error: MigratorError | None, log: logging.Logger
) -> tuple[Check, ...]:
    """After apply has failed, on the copy as it was. Never raises: the failure of apply is what people must see."""
    return (*_rows(trial, plan, log), *_roles(original, error), *_enum_value(error))


def _enum_value(error: MigratorError | None) -> tuple[Check, ...]:
    if error is None or error.fields.get("sqlstate") != "55P04":
        return ()
    text = (
        "a new value of an enum can be used only after the COMMIT of what adds it: leave ALTER TYPE ... ADD VALUE alone"
        " in this migration, and use the value in the next one"
    )
    return (Check("enum_value", Verdict.FAILED, text),)


def _rows(trial: Trial, plan: Plan, log: logging.Logger) -> tuple[Check, ...]:
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


def _roles(original: Original, error: MigratorError | None) -> tuple[Check, ...]:
    found = _ROLE.search(str(error)) if error is not None and error.fields.get("sqlstate") in STATES else None
    if found is None:
        return ()
    name = found["name"].replace('""', '"')
    return (Check("roles", Verdict.FAILED, _told(name, original, original.copy)),)


def _told(name: str, original: Original, copy: Copy) -> str:
    migrating = f'"{original.schema.role}"' if original.schema.role else "the role that migrates"
    if name not in original.roles:
        return (
            f'the target had no role "{name}" when the snapshot was taken. let an administrator make it there, then'
            " clear snapshot with downstream"
        )
    if name not in copy.stand_ins:
        return (
            f'on the server for restored copies there is a role "{name}" that somebody has made, so the rehearsal may'
            " grant to it and not become it. drop or rename it there, for a stand-in to take its place, or use a server"
            " for copies alone; then clear restore_test with downstream"
        )
    return (
        f'on the target {migrating} may not become "{name}", so this would fail there, too. let an administrator run:'
        f' GRANT "{name}" TO {migrating}; then clear snapshot with downstream'
    )
