"""What a file holds and the engine does itself: its BEGIN and COMMIT, and the bookkeeping in schema_migrations."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.script import Script
from migrator.plan import LEFT_OUT, Severity

READ_STATUS = "nothing; the table gets no new rows, `migrator status` says what is applied"


def check(script: Script) -> Iterator[Hit]:
    """Once a file, however much it is."""
    left_out = script.parsed.aside.left_out
    if left_out:
        listed = ", ".join(f"{one.what} (line {one.line})" for one in left_out)
        yield Hit(
            f"not sent to the server, the engine does it: {listed}",
            help=READ_STATUS if script.parsed.aside.bookkeeping else None,
            place=(left_out[0].line, left_out[0].column),
        )


RULE = Rule(
    id=LEFT_OUT,
    severity=Severity.INFO,
    condition="BEGIN and COMMIT around a file, and statements that only keep a table `schema_migrations` (INSERT,"
    " UPDATE, DELETE, MERGE, SELECT, LOCK, and DO blocks of these)",
    effect="the engine opens the transaction, checks that the version is not applied, and writes its ledger's row in"
    " it: the same twice could contradict each other",
    alternative="nothing; new files need neither",
    without_sql="always: there is nothing to write instead",
    source=DOCS + "sql-begin.html",
    script=check,
    in_rollback=True,
)
