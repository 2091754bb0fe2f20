"""What interrupted statements have left behind that nobody uses: invalid indexes of builds and of rebuilds."""

from __future__ import annotations

from collections.abc import Sequence

from migrator.plan import Statement
from migrator.steps import concurrent_index, gently, real_state
from migrator.steps.real_state import Connection


def removals(statements: Sequence[Statement], conn: Connection) -> tuple[str, ...]:
    """Statements that remove it, each once; none of them blocks anybody."""
    found = [f"DROP INDEX CONCURRENTLY IF EXISTS {name}" for name in concurrent_index.invalid(statements, conn)]
    for statement in statements:
        if statement.kind.startswith("REINDEX") and statement.kind.endswith("CONCURRENTLY"):
            found += (*real_state.look(statement, conn).cleanup, *gently.removals_by_others(statement, conn))
    return tuple(dict.fromkeys(found))
