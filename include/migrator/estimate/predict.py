"""From the work of each statement to its estimate, and to the time for which locks are held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from migrator.estimate.case import Case
from migrator.estimate.model import Basis, Estimate
from migrator.estimate.work import work_of
from migrator.rules.model import Subject

SHOWN = 0.001
"""Work of less than a millisecond is not worth a line."""


def estimate_of(subject: Subject, basis: Basis) -> Estimate:
    """Of one statement by itself; what runs inside of it (a DO block) is not in it. Pure."""
    profile = basis.profile
    work = tuple(work_of(Case(subject, profile, basis.statistics)))
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


def estimates_of(subjects: Sequence[Subject], basis: Basis) -> tuple[Estimate, ...]:
    """One for each subject, in their order; with `hold_seconds` up to the end of its transaction. Pure."""
    plain = [_with_inner(subject, basis) for subject in subjects]
    result = []
    for position, (subject, estimate) in enumerate(zip(subjects, plain, strict=True)):
        later = zip(subjects[position + 1 :], plain[position + 1 :], strict=True)
        rest = sum(
            item.seconds_p50
            for other, item in later
            if subject.transactional and other.transactional and other.transaction == subject.transaction
        )
        result.append(replace(estimate, hold_seconds=round(estimate.seconds_p50 + rest, 4)))
    return tuple(result)


def _with_inner(subject: Subject, basis: Basis) -> Estimate:
    """A DO block costs what runs inside of it; a loop is counted once, and says so."""
    own = estimate_of(subject, basis)
    for inner in subject.inner:
        found = _with_inner(inner, basis)
        own = replace(
            own,
            seconds_p50=round(own.seconds_p50 + found.seconds_p50, 4),
            seconds_p90=round(own.seconds_p90 + found.seconds_p90, 4),
            wal_bytes=own.wal_bytes + found.wal_bytes,
            temporary_bytes=own.temporary_bytes + found.temporary_bytes,
            final_bytes=own.final_bytes + found.final_bytes,
            replica_lag_seconds=max(own.replica_lag_seconds, found.replica_lag_seconds),
            replica_lag_basis=own.replica_lag_basis or found.replica_lag_basis,
            rows=(*own.rows, *found.rows),
            work=(*own.work, *found.work, *(("a loop, counted once",) if inner.looped else ())),
        )
    return own
