"""ALTER COLUMN TYPE bigint of a serial: its sequence is of type integer and stays so, unlike that of an identity
(transformAlterTableStmt in src/backend/parser/parse_utilcmd.c changes that one along)."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.effects.types import types
from migrator.analysis.rules.alteration import alterations
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.script import Script
from migrator.analysis.walk.subject import Subject
from migrator.facts.facts import RelationFacts
from migrator.parsing.build import build, range_var, script
from migrator.parsing.nodes import copy_of, option
from migrator.plan import Severity

WIDTH = {"smallint": 2, "integer": 4, "bigint": 8}


def check(script_: Script) -> Iterator[Hit]:
    subjects = script_.everything()
    for subject in subjects:
        for item in alterations(subject, "AT_AlterColumnType"):
            column = item.facts.columns.get(item.command.name) if item.facts is not None else None
            if column is None or column.identity:
                continue
            wanted = types.from_node(getattr(item.command, "def").column_def.type_name).name
            if WIDTH.get(wanted, 0) <= WIDTH.get(column.type, 8):
                continue
            for name in column.sequences:
                kept = _type_of(item.world.relation(name), item.table, column.type)
                if WIDTH.get(kept, 8) < WIDTH[wanted] and not any(_widens(other, name) for other in subjects):
                    widen = build(f"ALTER SEQUENCE seq AS {wanted}", seq=copy_of(range_var(name)))
                    yield Hit(
                        f"{item.table}.{item.command.name} becomes {wanted}, its sequence {name} does not: it is of"
                        f" type {kept} and ends where that ends",
                        alternative_sql=None if subject.nested else script((subject.statement.node, widen)),
                        subject=subject,
                        part=item.position,
                    )


def _type_of(sequence: RelationFacts | None, table: str, column_type: str) -> str:
    """A serial's was made with the column; any other is of type bigint, unless somebody says so."""
    if sequence is None:
        return "bigint"
    return sequence.sequence_type or (column_type if sequence.owned_by == table else "bigint")


def _widens(subject: Subject, sequence: str) -> bool:
    tree = subject.statement.tree
    if subject.statement.name != "alter_seq_stmt" or subject.world.name(tree.sequence) != sequence:
        return False
    return option(tree.options, "as") is not None


RULE = Rule(
    id="sequence-keeps-its-type",
    severity=Severity.WARNING,
    condition="ALTER COLUMN TYPE to a wider integer of a column whose default is nextval(), without ALTER SEQUENCE AS",
    effect="the sequence ends at 2,147,483,647 (smallserial: 32,767) as before, and then every INSERT fails with 2200H",
    alternative="ALTER SEQUENCE ... AS bigint in the same migration: instant",
    without_sql="inside of functions and DO blocks: there add ALTER SEQUENCE ... AS bigint after it",
    source=DOCS + "sql-altersequence.html",
    script=check,
)
