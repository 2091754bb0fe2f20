"""A timeout that is set after the statements that it should have been for."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.setting_time import milliseconds
from migrator.analysis.walk.script import Script
from migrator.analysis.walk.subject import Subject
from migrator.lock_modes import blocks_writes
from migrator.plan import Severity

TIMEOUTS = ("lock_timeout", "statement_timeout")


def check(script: Script) -> Iterator[Hit]:
    for index, subject in enumerate(script.subjects):
        tree = subject.statement.tree
        if subject.statement.name != "variable_set_stmt" or tree.name.lower() not in TIMEOUTS:
            continue
        name = tree.name.lower()
        before = [item for item in script.subjects[:index] if _blocks(item)]
        after = [item for item in script.subjects[index + 1 :] if _blocks(item)]
        if not before or after or name in subject.settings or _ends(script, subject, name):
            continue
        yield Hit(
            f"{name} is set after the last statement that locks writers out (line {before[-1].statement.line})",
            subject=subject,
        )


def _blocks(subject: Subject) -> bool:
    return any(blocks_writes(lock.mode) for lock in subject.all_effects.locks)


def _ends(script: Script, subject: Subject, name: str) -> bool:
    """RESET, DEFAULT and 0 take a limit away; a long statement may still follow for which this is right."""
    following = script.subjects[script.subjects.index(subject) + 1 :]
    setting = next((item.settings[name] for item in following if name in item.settings), None)
    if setting is not None:
        return not milliseconds(setting.value)
    args = subject.statement.tree.args
    return not args or (args[0].a_const.WhichOneof("val") == "ival" and args[0].a_const.ival.ival == 0)


RULE = Rule(
    id="timeout-set-late",
    severity=Severity.WARNING,
    condition="SET lock_timeout or statement_timeout after the last statement that locks writers out",
    effect="the statements that need the limit run without it",
    alternative="set it first, or leave it to the metadata: the engine sets both before the first statement",
    without_sql="always: the SET is right, its place is not: move it to the top of the file",
    source=DOCS + "runtime-config-client.html#GUC-LOCK-TIMEOUT",
    aliases=("pgfence:lock-timeout-after-dangerous-statement",),
    script=check,
)
