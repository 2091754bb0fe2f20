"""What was predicted for a statement beside what was observed: one sentence per difference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from migrator.evidence import Match, StatementTrace
from migrator.lock_modes import RX, strength
from migrator.plan import Statement

BY_PLAN = ("SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "CREATE TABLE AS", "SELECT INTO", "COPY", "EXPLAIN")
"""Whether these read a table in full is the planner's choice, with the statistics of the day."""

BY_TURNS = ("REINDEX", "VACUUM", "CLUSTER", "DROP INDEX CONCURRENTLY", "ALTER TABLE DETACH PARTITION CONCURRENTLY")
"""Outside a transaction these go from relation to relation, or from phase to phase, and hold many a lock too shortly to
be sampled for sure: what is seen is then the least that was taken."""


def judged(statement: Statement, trace: StatementTrace) -> StatementTrace:
    """The trace with what the comparison says of it."""
    found = differences(statement, trace)
    match = Match.MISMATCH if found else Match.CONFIRMED
    return replace(trace, match=match if statement.known else Match.NOT_PREDICTED, differences=found)


def differences(statement: Statement, trace: StatementTrace) -> tuple[str, ...]:
    """Where prediction and observation part. Locks are compared as the strongest mode per relation."""
    return tuple(_differences(statement, trace))


def unpredicted_writes(trace: StatementTrace) -> tuple[str, ...]:
    """Tables of which rows were changed although the analysis, which says that it knows all of this statement, knew
    nothing of it. Then it has judged something else than what the server has run."""
    if trace.match is Match.NOT_PREDICTED:
        return ()
    predicted = {lock.relation for lock in trace.predicted_locks if strength(lock.mode) >= strength(RX)}
    return tuple(name for name in trace.writes if name not in predicted)


def _differences(statement: Statement, trace: StatementTrace) -> Iterator[str]:
    predicted = {lock.relation: lock.mode for lock in statement.locks}
    observed = {lock.relation: lock.mode for lock in trace.locks}
    brief = not statement.transactional and statement.kind.startswith(BY_TURNS)
    for relation in sorted(predicted.keys() | observed.keys()):
        before, after = predicted.get(relation), observed.get(relation)
        if before is None:
            yield f"took {after} on {relation}, which was not predicted"
        elif brief and (after is None or strength(after) < strength(before)):
            continue
        elif after is None:
            yield f"took no lock on {relation}, {before} was predicted"
        elif before != after:
            yield f"took {after} on {relation}, {before} was predicted"
    yield from _names("rewrote", statement.rewrites, trace.rewrites)
    chosen = statement.kind in BY_PLAN
    yield from _names("read all of", () if chosen else statement.scans, () if chosen else trace.scans)
    yield from _names("rebuilt index", statement.indexes_rebuilt, trace.indexes_rebuilt)


def _names(did: str, predicted: Iterable[str], observed: Iterable[str]) -> Iterator[str]:
    before, after = set(predicted), set(observed)
    for name in sorted(after - before):
        yield f"{did} {name}, which was not predicted"
    for name in sorted(before - after):
        yield f"was to have {did.replace('wrote', 'written')} {name}, and has not"
