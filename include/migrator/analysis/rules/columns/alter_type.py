"""ALTER COLUMN TYPE that writes the table anew. It also forgets what ANALYZE knew of the column (RemoveStatistics in
src/backend/commands/tablecmds.c), so a step that collects it anew is suggested."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import alterations
from migrator.analysis.rules.columns.alter_type_timezone import is_change_of_zone
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.online import safely
from migrator.analysis.walk.subject import Subject
from migrator.parsing.build import as_written
from migrator.plan import Severity, Suggestion


def check(subject: Subject) -> Iterator[Hit]:
    for item in alterations(subject, "AT_AlterColumnType"):
        if item.effects.rewrites and not is_change_of_zone(item):
            yield Hit(
                f"changing the type of {item.command.name} rewrites {item.table}{item.size}; nobody can read or write"
                f" it meanwhile{item.doubt}",
                severity=item.severity,
                alternative_sql=safely(subject),
                suggestion=Suggestion("analyze_tables", {"tables": [as_written(item.table)]}),
                part=item.position,
            )


RULE = Rule(
    id="alter-column-type",
    severity=Severity.WARNING,
    condition="ALTER COLUMN TYPE to a type whose stored form differs; without a connection, which would tell, `info`",
    effect="ACCESS EXCLUSIVE lock while the whole table and its indexes are written anew; longer varchar, varchar to"
    " text and higher numeric precision are instant",
    alternative="add a column of the new type, keep it in step with a trigger, fill it in batches, swap names",
    without_sql="where no second column can take over: an identity column, a key that foreign keys refer to, a column"
    " of a partitioned table that is in an index or a constraint, one in an EXCLUDE constraint, one that a"
    " view, rule, policy, generated column or publication names (the server refuses: 0A000), and without a"
    " connection, which would tell the indexes and constraints to make again. Then it takes a window; of a"
    " key that others refer to, each referring column first gets a second column, too",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-NOTES",
    aliases=("squawk:changing-column-type", "eugene:E5", "eugene:E10", "strong_migrations:change_column"),
    on=("alter_table_stmt",),
    subtypes=("AT_AlterColumnType",),
    statement=check,
    in_rollback=True,
)
