"""timestamp to timestamptz or back: instant in UTC, a rewrite in any other time zone."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.effects.types.types import from_node, from_text
from migrator.analysis.rules.alteration import Alteration, alterations
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.parsing.build import build, script
from migrator.plan import Severity

PAIR = {"timestamp without time zone", "timestamp with time zone"}


def is_change_of_zone(item: Alteration) -> bool:
    """Between the two, without USING, as far as the catalog tells."""
    known = item.world.column(item.table, item.command.name)
    if known is None or item.column_def.HasField("raw_default"):
        return False
    return {from_text(known.type).name, from_node(item.column_def.type_name).name} == PAIR


def check(subject: Subject) -> Iterator[Hit]:
    for item in alterations(subject, "AT_AlterColumnType"):
        if not is_change_of_zone(item):
            continue
        if not item.effects.rewrites:
            yield Hit(
                f"values of {item.command.name} are taken to mean UTC, as a migration's session runs in UTC: instant,"
                " and wrong when they mean another zone",
                severity=Severity.INFO,
                part=item.position,
            )
            continue
        utc = build("SET LOCAL timezone = 'UTC'")
        yield Hit(
            f"{item.command.name} is converted in a time zone that this file has set: that rewrites"
            f" {item.table}{item.size} while nobody can read or write it; in UTC nothing is rewritten",
            severity=item.severity,
            alternative_sql=script((utc, subject.statement.node)),
            part=item.position,
        )


RULE = Rule(
    id="alter-type-time-zone",
    severity=Severity.WARNING,
    condition="ALTER COLUMN TYPE between timestamp and timestamptz: `info` in UTC, as sessions of migrations are; heavy"
    " after SET timezone to anything else",
    effect="values are taken to be in the session's time zone; outside UTC the table is rewritten under ACCESS"
    " EXCLUSIVE",
    alternative="leave the session in UTC if the values mean UTC; if they mean another zone, add a second column and"
    " fill it in batches with AT TIME ZONE",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-NOTES",
    aliases=("squawk:changing-column-type", "strong_migrations:change_column"),
    on=("alter_table_stmt",),
    subtypes=("AT_AlterColumnType",),
    statement=check,
)
