"""UPDATE and DELETE of all rows."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.in_steps import filled
from migrator.analysis.rules.model import DOCS, Hit, Rule, severity_by_size, size_text
from migrator.analysis.rules.online.backfill import in_batches
from migrator.analysis.walk.subject import Subject
from migrator.parsing.build import script
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    if subject.statement.name not in ("update_stmt", "delete_stmt") or subject.statement.tree.HasField("where_clause"):
        return
    table = subject.world.name(subject.statement.tree.relation)
    if not subject.world.is_certainly_new(table):
        yield Hit(
            f"{subject.statement.kind} without WHERE touches all rows of {table}{size_text(subject, table)}",
            severity=severity_by_size(subject, table),
            alternative_sql=_alternative(subject),
            steps=filled(subject),
        )


def _alternative(subject: Subject) -> str | None:
    blocks = in_batches(subject.statement.node, subject.world)
    return script(*((block,) for block in blocks)) if blocks else None


RULE = Rule(
    id="change-without-where",
    severity=Severity.WARNING,
    condition="UPDATE or DELETE without WHERE on an existing table",
    effect="every row is locked until the end, written again, and left to vacuum; standbys fall behind",
    alternative="add WHERE, or change the rows in batches, each in a transaction of its own",
    without_sql="for WITH, RETURNING, FROM or USING, subqueries, volatile functions, and where the changed rows"
    " cannot be told from the others: batches would then do other than the statement does",
    source=DOCS + "sql-update.html",
    aliases=("strong_migrations:backfill", "pgfence:update-without-where"),
    statement=check,
    on=("update_stmt", "delete_stmt"),
    in_rollback=True,
)
