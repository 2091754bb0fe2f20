"""Which columns a violated constraint is on, where the server's message names only the constraint."""

from __future__ import annotations

from migrator.database import session
from migrator.database.vocabulary import told_name
from migrator.errors import MigratorError, StatementFailed
from migrator.steps.context import QUERIES, StepContext, login_of

INTEGRITY = "23"
"""Class 23 of PostgreSQL's Appendix A: integrity constraint violation."""


def with_columns(error: MigratorError, ctx: StepContext) -> MigratorError:
    """The same error, its columns told as well. A constraint that the failed transaction itself has made is gone, and
    its definition stands in the file.

    Asked on a session of its own: in the failed one nothing can be asked any more.
    """
    fields = error.fields
    named = {"schema": fields.get("schema"), "table": fields.get("table"), "violated": fields.get("constraint")}
    if (
        type(error) is not StatementFailed
        or not str(fields.get("sqlstate")).startswith(INTEGRITY)
        or fields.get("columns")
        or not all(named.values())
    ):
        return error
    try:
        with session.connect(login_of(ctx.endpoint), purpose="observe", version=ctx.plan.version) as conn:
            row = conn.execute(QUERIES["columns_of_constraint"], named).fetchone()
    except Exception:  # the failure itself is what people must see
        return error
    if row is None or not row[0]:
        return error
    columns = told_name(row[0])
    word = "columns" if "," in columns else "column"
    return StatementFailed(f"{error}: the constraint is on {word} {columns}", **{**fields, "columns": columns})
