"""From the work of each statement to its estimate, and to the time for which locks are held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from migrator import wording
from migrator.analysis.estimate.case import Case
from migrator.analysis.estimate.model import Basis, Estimate, Work
from migrator.analysis.estimate.work import work_of
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import find

SHOWN = 0.001
"""Work of less than a millisecond is not worth a line, and does not depend on rows."""
MILLION = 1_000_000
COPIED = "copy_stmt"
FILLING = ("insert_stmt", "create_table_as_stmt")


def estimate_of(subject: Subject, basis: Basis, given: Mapping[str, int | None] | None = None) -> Estimate:
    """Of one statement by itself; what runs inside of it (a DO block) is not in it. Pure.

    :param given: rows of tables that are not in the catalog yet; None: nobody knows how many.
    """
    given = given or {}
    known = {name: rows for name, rows in given.items() if rows is not None}
    work = _work(subject, basis, known)
    if unknown := _unknown(subject, given):
        with_a_million = _work(subject, basis, {**known, **dict.fromkeys(unknown, MILLION)})
        more = sum(item.seconds for item in with_a_million) - sum(item.seconds for item in work)
        if more >= SHOWN:
            return _not_known(subject, unknown, more, basis)
    return _estimate(work, basis)


def estimates_of(subjects: Sequence[Subject], basis: Basis) -> tuple[Estimate, ...]:
    """One for each subject, in their order; with `hold_seconds` up to the end of its transaction. Pure."""
    given: dict[str, int | None] = {}
    plain = [_with_inner(subject, basis, given) for subject in subjects]
    result = []
    for position, (subject, estimate) in enumerate(zip(subjects, plain, strict=True)):
        later = zip(subjects[position + 1 :], plain[position + 1 :], strict=True)
        rest = [
            item.seconds_p50
            for other, item in later
            if subject.transactional and other.transactional and other.transaction == subject.transaction
        ]
        result.append(replace(estimate, hold_seconds=_sum(estimate.seconds_p50, *rest)))
    return tuple(result)


def _work(subject: Subject, basis: Basis, known: Mapping[str, int]) -> tuple[Work, ...]:
    return tuple(work_of(Case(subject, basis.profile, basis.statistics, known)))


def _unknown(subject: Subject, given: Mapping[str, int | None]) -> list[str]:
    """Tables of earlier migrations, of which the catalog knows nothing yet, and what came in by COPY."""
    world, effects = subject.world, subject.effects
    names = {world.name(item) for item in find(subject.statement.node, "RangeVar")}
    names |= {lock.relation for lock in effects.locks} | {*effects.scans, *effects.rewrites}
    made = {name for name in names if world.made_by(name) is not None and world.relation(name) is not None}
    return sorted(name for name in names if given.get(name, 0 if name not in made else None) is None)


def _not_known(subject: Subject, unknown: Sequence[str], seconds: float, basis: Basis) -> Estimate:
    makers = dict.fromkeys(subject.world.made_by(name) for name in unknown)
    by = ", ".join(maker for maker in makers if maker is not None)
    why = f", which {by} makes" if by else ""
    text = f"not known: rows of {', '.join(unknown)}{why}; about {wording.seconds(seconds)} for each million"
    return Estimate(None, None, None, None, None, None, None, basis.profile.basis, unknown=text)


def _estimate(work: Sequence[Work], basis: Basis) -> Estimate:
    profile = basis.profile
    seconds = profile.costs.statement + sum(item.seconds for item in work)
    wal = sum(item.wal_bytes for item in work)
    return Estimate(
        seconds_p50=round(seconds, 4),
        seconds_p90=round(seconds * profile.spread, 4),
        wal_bytes=wal,
        temporary_bytes=sum(item.temporary_bytes for item in work),
        final_bytes=sum(item.final_bytes for item in work),
        replica_lag_seconds=round(basis.replication.lag_seconds(wal, seconds), 3),
        hold_seconds=round(seconds, 4),
        basis=profile.basis,
        work=tuple(item.what for item in work if item.seconds >= SHOWN),
        replica_lag_basis=basis.replication.basis if wal else "",
        rows=tuple(f"{item.what} ({item.basis})" for item in work if item.basis),
    )


def _with_inner(subject: Subject, basis: Basis, given: dict[str, int | None]) -> Estimate:
    """A DO block costs what runs inside of it; a loop is counted once, and says so."""
    own = estimate_of(subject, basis, given)
    _fill(subject, basis, given)
    for inner in subject.inner:
        found = _with_inner(inner, basis, given)
        own = replace(
            own,
            seconds_p50=_sum(own.seconds_p50, found.seconds_p50),
            seconds_p90=_sum(own.seconds_p90, found.seconds_p90),
            wal_bytes=_bytes(own.wal_bytes, found.wal_bytes),
            temporary_bytes=_bytes(own.temporary_bytes, found.temporary_bytes),
            final_bytes=_bytes(own.final_bytes, found.final_bytes),
            replica_lag_seconds=_longest(own.replica_lag_seconds, found.replica_lag_seconds),
            replica_lag_basis=own.replica_lag_basis or found.replica_lag_basis,
            rows=(*own.rows, *found.rows),
            unknown=own.unknown or found.unknown,
            work=(*own.work, *found.work, *(("a loop, counted once",) if inner.looped else ())),
        )
    return own


def _fill(subject: Subject, basis: Basis, given: dict[str, int | None]) -> None:
    """What the migration itself puts into tables that it makes: later statements find it there."""
    statement, world = subject.statement, subject.world
    if statement.name == COPIED and statement.tree.is_from and statement.tree.HasField("relation"):
        if world.is_new(name := world.name(statement.tree.relation)):
            given[name] = None
        return
    unknown = bool(_unknown(subject, given))
    known = {name: rows for name, rows in given.items() if rows is not None}
    for item in _work(subject, basis, known) if statement.name in FILLING else ():
        if item.fills is not None and world.made_by(item.fills[0]) is None:
            name, rows = item.fills
            if world.is_new(name) or world.relation(name) is None:
                before = given.get(name, 0)
                given[name] = None if unknown or before is None else before + rows


def _sum(*seconds: float | None) -> float | None:
    known = [one for one in seconds if one is not None]
    return round(sum(known), 4) if len(known) == len(seconds) else None


def _bytes(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _longest(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else max(one, other)
