"""A foreign key whose columns no index begins with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from migrator.analysis.rules.alteration import Alteration, added_constraints, foreign_keys
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.names import object_name
from migrator.analysis.rules.online import safely
from migrator.analysis.rules.online.constraints import taken
from migrator.analysis.walk.script import Whole
from migrator.analysis.walk.subject import Subject
from migrator.parsing.build import NEXT, beside, build, script
from migrator.parsing.nodes import strings
from migrator.plan import Severity


def check(whole: Whole) -> Iterator[Hit]:
    subjects = tuple(subject for found in whole.scripts for subject in found.everything())
    for subject in subjects:
        if subject.statement.subtypes.isdisjoint(("AT_AddColumn", "AT_AddConstraint")):
            continue
        for item, constraint in foreign_keys(subject):
            columns = strings(constraint.fk_attrs)
            if item.facts is None or _covered(item, columns, subjects):
                continue
            other = item.world.name(constraint.pktable)
            yield Hit(
                f"{item.table}{item.size} has no index that begins with {', '.join(columns)}: for each row that leaves"
                f" {other}, or changes its key, the whole table is read",
                severity=min(item.severity_of(assumed=False), Severity.WARNING, key=_rank),
                alternative_sql=_alternative(item, columns),
                subject=subject,
                part=item.position,
            )


def _rank(severity: Severity) -> int:
    return (Severity.INFO, Severity.WARNING, Severity.ERROR).index(severity)


def _covered(item: Alteration, columns: Sequence[str], subjects: Sequence[Subject]) -> bool:
    """By an index of the catalog, or by one that the migration builds."""
    catalog = item.facts.indexes if item.facts is not None else ()
    keys = [index.columns for index in catalog if index.valid]
    for other in subjects:
        name, tree = other.statement.name, other.statement.tree
        if name not in ("index_stmt", "alter_table_stmt") or other.world.name(tree.relation) != item.table:
            continue
        if name == "index_stmt":
            keys.append(tuple(part.index_elem.name for part in tree.index_params))
        for key in added_constraints(other, "UNIQUE", "PRIMARY"):
            keys.append(strings(key.constraint.keys))
    return any(set(key[: len(columns)]) == set(columns) for key in keys)


def _alternative(item: Alteration, columns: Sequence[str]) -> str | None:
    """Only where the columns are there already."""
    if item.is_partitioned or item.subtype == "AT_AddColumn":
        return None
    table = item.relation
    index = build(
        "CREATE INDEX CONCURRENTLY idx ON tbl (keys)",
        idx=object_name(table.relname, "_".join(columns), "idx", taken=taken(item)),
        tbl=beside(table, table.relname),
        keys=tuple(columns),
    )
    rest = safely(item.subject) or script((item.subject.statement.node,))
    return f"{script((index,))}\n{NEXT}\n{rest}"


RULE = Rule(
    id="foreign-key-without-index",
    severity=Severity.WARNING,
    condition="ADD FOREIGN KEY on columns that no index begins with; needs a connection",
    effect="a DELETE in the referenced table, or an UPDATE of its key, reads this whole table for each row",
    alternative="CREATE INDEX CONCURRENTLY on the columns first",
    without_sql="for a partitioned table, whose index is built on each partition (write CREATE INDEX: create-index"
    " has the SQL), and for a column that the same statement adds",
    source=DOCS + "ddl-constraints.html#DDL-CONSTRAINTS-FK",
    aliases=("eugene:E15",),
    whole=check,
)
