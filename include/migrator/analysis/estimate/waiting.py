"""Who waits because of a lock, and for whom the lock itself has to wait. Pure.

Two different times: to *acquire* a lock one waits for transactions that hold a conflicting one, idle ones included; to
*hold* it makes others wait, as many as come in that time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from migrator.analysis.estimate.model import Estimate, LockWait, Traffic
from migrator.analysis.walk.subject import Subject
from migrator.lock_modes import blocks_reads, blocks_writes, conflicts, strength


def waits_of(
    subjects: Sequence[Subject], estimates: Sequence[Estimate], traffic: Mapping[str, Traffic]
) -> tuple[LockWait, ...]:
    """For each table whose writers or readers have to wait, the strongest lock and the longest time. Pure."""
    found: dict[str, tuple[str, float | None]] = {}
    for subject, estimate in zip(subjects, estimates, strict=True):
        for lock in subject.all_effects.locks:
            if not blocks_writes(lock.mode) or _is_index(subject, lock.relation):
                continue
            known: tuple[str, float | None] = (lock.mode, 0.0)
            mode, hold = found.get(lock.relation, known)
            stronger = lock.mode if strength(lock.mode) > strength(mode) else mode
            longest = None if hold is None or estimate.hold_seconds is None else max(hold, estimate.hold_seconds)
            found[lock.relation] = (stronger, longest)
    return tuple(_wait(name, mode, hold, traffic.get(name, Traffic())) for name, (mode, hold) in found.items())


def _wait(relation: str, mode: str, hold: float | None, traffic: Traffic) -> LockWait:
    rate = traffic.writes + (traffic.reads if blocks_reads(mode) else 0.0)
    families = tuple(item for item in traffic.families if blocks_reads(mode) or not _only_reads(item.query))
    if families and blocks_reads(mode):
        rate = max(rate, sum(family.calls_per_second for family in families))
    in_the_way = tuple(holder for holder in traffic.holders if conflicts(mode, holder.mode))
    return LockWait(
        relation=relation,
        mode=mode,
        hold_seconds=hold,
        in_the_way=tuple(f"{item.who}, {item.mode} for {item.seconds:.0f} s" for item in in_the_way),
        oldest_seconds=max((item.seconds for item in in_the_way), default=0.0),
        queries_per_second=round(rate, 2),
        waiting=round(rate * (hold or 0.0)),
        families=tuple(family.query for family in families),
    )


def _only_reads(query: str) -> bool:
    return query.lower().lstrip(" (").startswith("select")


def _is_index(subject: Subject, relation: str) -> bool:
    facts = subject.world.relation(relation)
    return facts is not None and facts.kind in ("i", "I")
