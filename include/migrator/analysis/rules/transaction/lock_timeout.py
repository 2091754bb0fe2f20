"""lock_timeout switched off, or longer than everybody else can wait."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.setting_time import milliseconds
from migrator.analysis.walk.script import Script
from migrator.analysis.walk.subject import Subject
from migrator.analysis.walk.transactions import Setting
from migrator.lock_modes import blocks_writes
from migrator.parsing.build import build, script
from migrator.plan import Severity

LONGEST_MS = 30_000
"""Whoever queues behind the waiting statement waits as long; web servers give up after half a minute."""


def check(item: Script) -> Iterator[Hit]:
    """One finding for each SET, at the first statement that it puts at risk."""
    seen: set[int] = set()
    for subject in item.everything():
        setting = subject.settings.get("lock_timeout")
        if setting is None or setting.line in seen or not _blocks(subject):
            continue
        value = milliseconds(setting.value)
        if value is None or 0 < value <= LONGEST_MS:
            continue
        seen.add(setting.line)
        how = "is switched off" if value == 0 else f"is {setting.value}"
        yield Hit(
            f"lock_timeout {how} since line {setting.line}: while {subject.statement.kind} waits for its lock,"
            " everybody who comes after it waits, too",
            alternative_sql=script((build("SET lock_timeout = '5s'"),)),
            subject=_set(item, setting),
        )


def _set(item: Script, setting: Setting) -> Subject | None:
    """The SET statement itself: the alternative stands in its place."""
    return next((subject for subject in item.subjects if subject.statement.line == setting.line), None)


def _blocks(subject: Subject) -> bool:
    return any(blocks_writes(lock.mode) for lock in subject.effects.locks)


RULE = Rule(
    id="lock-timeout",
    severity=Severity.WARNING,
    condition="SET lock_timeout to 0 or to more than 30 s before a statement that locks writers out",
    effect="behind one old transaction the statement waits without end, and all new queries of the table behind it",
    alternative="leave lock_timeout to the metadata: the engine sets it, gives up in time, and tries again",
    source=DOCS + "runtime-config-client.html#GUC-LOCK-TIMEOUT",
    aliases=("pgfence:lock-timeout-zero", "pgfence:lock-timeout-too-long"),
    script=check,
    in_rollback=True,
)
