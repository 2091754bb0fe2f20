"""What runs but could not be looked into."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.script import Script
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(script: Script) -> Iterator[Hit]:
    seen = set()
    for gap in script.gaps:
        if (gap.offset, gap.why) not in seen:
            seen.add((gap.offset, gap.why))
            line, _ = script.parsed.lines.place(gap.offset)
            where = f" (line {line})" if gap.what == "EXECUTE" else ""
            yield Hit(f"{gap.what}{where} was not analysed: {gap.why}", subject=_at(script, gap.offset))


def _at(script: Script, offset: int) -> Subject:
    """The statement that has the place in it."""
    return next(item for item in reversed(script.subjects) if item.statement.start <= offset)


RULE = Rule(
    id="not-analysed",
    severity=Severity.INFO,
    condition="EXECUTE of a text made at run time, a call of a function from elsewhere, a statement that is not known",
    effect="nothing is known about its locks and its work: no finding does not mean that it is safe",
    alternative="write the statements themselves; the dry run on the restored copy shows what they really lock",
    source=DOCS + "plpgsql-statements.html#PLPGSQL-STATEMENTS-EXECUTING-DYN",
    aliases=("pgsafe:unchecked-do-block", "safe-migrate:opaque-dynamic-sql"),
    script=check,
    in_rollback=True,
)
