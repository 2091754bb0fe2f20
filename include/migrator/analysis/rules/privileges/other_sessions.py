"""What others are doing."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.privileges.calls import called
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity

FUNCTIONS = (
    "pg_terminate_backend",
    "pg_cancel_backend",
    "pg_reload_conf",
    "pg_rotate_logfile",
    "pg_promote",
    "pg_switch_wal",
    "pg_wal_replay_pause",
    "pg_drop_replication_slot",
    "pg_create_restore_point",
)


def check(subject: Subject) -> Iterator[Hit]:
    for name in called(subject, FUNCTIONS):
        yield Hit(f"{name}() reaches other sessions, or the server as a whole")


RULE = Rule(
    id="ends-or-steers-others",
    severity=Severity.WARNING,
    condition="pg_terminate_backend(), pg_cancel_backend(), pg_reload_conf() and the like",
    effect="it ends or steers what others are doing; the rehearsal on the copy cannot show whom it will meet",
    alternative="the engine waits for locks with a timeout and names who holds them; let a person decide",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "functions-admin.html",
    statement=check,
    in_rollback=True,
)
