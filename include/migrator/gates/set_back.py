"""Whether a rollback has set a sequence back before what the application was given since: it cannot insert then."""

from __future__ import annotations

import logging

from migrator.database import sequences, session
from migrator.database.sequences import Sequences
from migrator.database.session import Endpoint
from migrator.errors import MigratorError
from migrator.gates import sequences as next_values

LOG = logging.getLogger(__name__)


def read(endpoint: Endpoint, ledger_schema: str, *, log: logging.Logger = LOG) -> Sequences | None:
    """None: nobody could look, which keeps nothing from being undone."""
    try:
        with session.connect(endpoint, purpose="observe") as conn, session.translated():
            return sequences.read(conn, exclude=(ledger_schema,))
    except MigratorError as exc:
        log.warning("nobody could look where the sequences stand: %s", exc)
        return None


def problems(
    before: Sequences | None, endpoint: Endpoint, ledger_schema: str, *, log: logging.Logger = LOG
) -> tuple[str, ...]:
    """What is wrong with those that stand elsewhere than before the rollback, with the statement that mends it."""
    now = read(endpoint, ledger_schema, log=log) if before is not None else None
    if before is None or now is None:
        return ()
    try:
        with session.connect(endpoint, purpose="observe") as conn:
            feeds = next_values.touched(before, now, ())
            found = next_values.look(conn, now, feeds, largest_scan=next_values.LARGEST_SCAN)
    except MigratorError as exc:
        log.warning("nobody could compare the sequences with their columns: %s", exc)
        return ()
    said = list(found.problems.values())
    looked = {feed.sequence for feed in feeds if feed.hidden is None}
    back = [name for name in next_values.behind(before, now) if name in now.positions and name not in looked]
    return (*said, *(next_values.lost(name, before, now, found) for name in back))
