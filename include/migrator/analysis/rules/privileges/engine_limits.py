"""Limits that the engine sets."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.privileges.calls import calls, first_text
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import Node
from migrator.plan import Severity

LIMITS = (
    "lock_timeout",
    "statement_timeout",
    "idle_in_transaction_session_timeout",
    "transaction_timeout",
    "session_replication_role",
)


def check(subject: Subject) -> Iterator[Hit]:
    tree = subject.statement.tree
    if subject.statement.name == "variable_set_stmt" and _turns_off(tree):
        yield Hit("triggers and foreign keys do not fire while it is set: rows that contradict them stay")
    for name, call in calls(subject):
        if name == "set_config" and first_text(call).lower() in LIMITS:
            yield Hit(f"changes {first_text(call)} where no reader looks for it")


def _turns_off(tree: Node) -> bool:
    """`origin`, DEFAULT and RESET turn them on again."""
    values = [value.a_const.sval.sval.lower() for value in tree.args]
    return str(tree.name).lower() == "session_replication_role" and bool(values) and values != ["origin"]


RULE = Rule(
    id="lifts-the-engines-limits",
    severity=Severity.WARNING,
    condition="set_config() of a timeout, session_replication_role",
    effect="a limit that keeps the application from waiting, or a check that keeps rows right, is off",
    alternative="SET LOCAL, in sight, for the statement that needs it; `lock_timeout` in the metadata for all",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "sql-set.html",
    statement=check,
    in_rollback=True,
)
