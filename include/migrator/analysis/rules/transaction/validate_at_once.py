"""VALIDATE CONSTRAINT in the transaction that added it NOT VALID: the lock of the first is held during the second."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from migrator.analysis.rules.model import DOCS, Hit, Rule, severity_by_size
from migrator.analysis.walk.subject import Subject
from migrator.parsing.build import later
from migrator.parsing.nodes import commands, enum
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    if subject.statement.name != "alter_table_stmt" or not subject.transactional:
        return
    table = subject.world.name(subject.statement.tree.relation)
    if subject.world.is_new(table):
        return
    for command in commands(subject.statement.tree):
        if enum(command, "subtype") != "AT_ValidateConstraint":
            continue
        if _added_here(subject, (table, command.name)):
            yield Hit(
                f"{command.name} was added earlier in the same transaction, so its lock on {table} is held while all"
                " rows are read",
                severity=severity_by_size(subject, table),
                alternative_sql=None if subject.nested else later(subject.statement.node),
            )


def _added_here(subject: Subject, constraint: tuple[str, str]) -> bool:
    """Whether a statement of the same transaction has added it NOT VALID; not one of an earlier file or transaction."""
    earlier = [item.world for item in subject.earlier if item.transaction == subject.transaction]
    known = [constraint in world.not_valid for world in (*earlier, subject.world)]
    return any(after and not before for before, after in pairwise(known))


RULE = Rule(
    id="validate-in-same-transaction",
    severity=Severity.WARNING,
    condition="VALIDATE CONSTRAINT in the same transaction as ADD CONSTRAINT ... NOT VALID",
    effect="the strong lock of ADD CONSTRAINT is held until the end of the transaction: NOT VALID wins nothing",
    alternative="put VALIDATE CONSTRAINT into a migration of its own",
    without_sql="inside of a function or DO block, which is to be changed itself",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-DESC-VALIDATE-CONSTRAINT",
    aliases=("squawk:constraint-missing-not-valid", "eugene:E1"),
    statement=check,
    on=("alter_table_stmt",),
    subtypes=("AT_ValidateConstraint",),
)
