"""After an INSERT ... SELECT in batches: rows that were changed past their copy, by who could not see it.

A transaction whose snapshot is older than a batch (REPEATABLE READ, SERIALIZABLE) may change a row that the batch has
only locked, and finds no copy to change beside it: no error tells it. So once all rows are copied those are waited for
that look by an older snapshot, and what differs by then is copied again. Only copies count that are as a batch has made
them, and only rows that are newer: what the application has written into the other table it keeps.

Who does not write the other table at all changes rows past their copies for ever. That is told, since the step can only
copy what is there now.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from migrator.database.activity import Blocker
from migrator.errors import StatementFailed
from migrator.steps import batch_readings, batch_tables
from migrator.steps.batch_insert import InsertSql
from migrator.steps.batch_looks import Looks
from migrator.steps.batch_statement import Place
from migrator.steps.batches import Work
from migrator.steps.copy_sql import CopySql
from migrator.wording import count

MOST = 200
"""Rows of one transaction."""
CURE = (
    "whoever writes the one table has to write the other one as well, by INSERT ... ON CONFLICT DO UPDATE, which also"
    " finds what a snapshot does not show, and fails there to be tried again: let a trigger do it, in a step before"
)


def settle(work: Work) -> str:
    """:returns: what was found, for the step's note; empty: nothing."""
    if not isinstance(work.sql, InsertSql) or work.sql.copies is None:
        return ""
    own = work.ctx.ledger.own_transactions(work.ctx.plan.version, work.step.name)
    if not own:
        return ""
    still = _wait(work.looks, own[-1])
    try:
        again, left = _all(work, work.sql.copies)
        told = _told(again, left)
    except StatementFailed as exc:
        told = f"nobody could copy again what was changed past its copy: {exc}"
    if still:
        told = "; ".join(filter(None, (told, f"what these write by an older snapshot may pass by a copy: {still}")))
    if told:
        work.ctx.log.warning("step %s: %s", work.step.name, told)
    return told


def _wait(looks: Looks, last: int) -> str:
    """Who still looks by a snapshot that does not show the last batch."""

    def now() -> Mapping[str, Blocker]:
        return looks.at_peace(lambda conn, _: batch_tables.snapshots(conn, last))

    left = looks.still(now(), now, "transactions whose snapshot is older than its last batch")
    return "; ".join(blocker.who for blocker in left)


def _all(work: Work, sql: CopySql) -> tuple[int, int]:
    """How many rows were copied again, and how many are different still, up to MOST: who never writes the other table
    goes on meanwhile."""
    types = work.looks.at_peace(lambda conn, _: batch_readings.types(conn, sql.into, sql.columns))
    again, began = 0, time.monotonic()
    while True:
        own = work.ctx.ledger.own_transactions(work.ctx.plan.version, work.step.name)
        found = work.looks.ask(sql.places(types, own, MOST)) or ()
        these = work.sql.these(sorted(Place.of(oid, tid) for oid, tid in found))
        if not found or time.monotonic() - began > work.ctx.deadline_seconds:
            return again, len(found)
        again += _batch(work, (sql.locked(these), sql.again(types, own, these)))


def _batch(work: Work, texts: Sequence[str]) -> int:
    """One with which no page is done."""
    work.brake.rest()
    work.look()
    work.brake.before_batch(work.progress.table)

    def once() -> int:
        changed = work.sender.send(texts, work.limited(2))
        work.commit(work.progress)
        return changed

    return work.looks.patiently(once)


def _told(again: int, left: int) -> str:
    if not again and not left:
        return ""
    what = f"{count(again, 'row')} changed past {'its copy' if again == 1 else 'their copies'} and copied again"
    more = f", and {count(left, 'row')} or more since" if left else ""
    return f"{what}{more}: {CURE}"
