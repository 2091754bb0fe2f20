"""One statement that cannot run in a transaction takes the transaction away from all others of the file."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.script import Script
from migrator.plan import Severity

SESSION_ONLY = ("SET", "RESET", "SHOW", "SELECT")


def check(script: Script) -> Iterator[Hit]:
    if script.parsed.undoes_itself:
        return  # that is how the step is meant to run
    weighty = [item for item in script.subjects if item.statement.kind not in SESSION_ONLY]
    outside = [item for item in weighty if not item.statement.transactional]
    if not outside or len(weighty) == len(outside) or script.transaction_wanted is True or script.parsed.aside.wrapped:
        return  # with BEGIN and COMMIT around it `transaction-control` says more
    yield Hit(
        f"because of {outside[0].statement.kind} the {len(weighty)} statements of this file run one by one: when one"
        " fails, those before it stay",
        subject=outside[0],
    )


RULE = Rule(
    id="mixed-transaction",
    severity=Severity.WARNING,
    condition="a file with statements that can and statements that cannot run in a transaction",
    effect="nothing is undone by the server when a statement in the middle fails; only the rollback script does that",
    alternative="put what cannot run in a transaction into a migration of its own",
    without_sql="always: put the statement that cannot run in a transaction into a file, and so a step, of its own",
    source=DOCS + "sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY",
    script=check,
    in_rollback=False,
)
