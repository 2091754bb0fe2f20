"""What the metadata says of a migration, held against what its statements do. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis import own_words
from migrator.analysis.inspection import Inspection
from migrator.catalogue.metadata import Metadata
from migrator.parsing.nodes import enum
from migrator.parsing.statements import ParsedFile, ParsedStatement
from migrator.plan import GATE, Finding, MigrationType, Severity

RISK_RULE = "risk-understated"
TYPE_RULE = "type-mismatch"
DOWNTIME_RULE = "downtime-not-declared"
EMPTY_RULE = "nothing-to-do"
PARTS_RULE = "constraint-by-partition"

CONSTRAINT = "constraint"
"""The step kind."""
FOREIGN_KEYS_NOT_VALID = 18
"""From this major on a partitioned table takes one NOT VALID."""
NAMED = 10
"""So many partitions are listed."""


def declared(metadata: Metadata, inspection: Inspection) -> list[Finding]:
    """Where the metadata says less than the statements do, and files without any."""
    computed, found = inspection.classification, []
    why = f" ({'; '.join(computed.reasons[:3])})" if computed.reasons else ""
    if metadata.risk_level.rank < computed.risk.rank:
        found.append(
            Finding(
                RISK_RULE,
                Severity.ERROR,
                f"risk_level is {metadata.risk_level.value!r}, the statements make it {computed.risk.value!r}{why}",
                f"write risk_level: {computed.risk.value}, or take out what raises it",
            )
        )
    if metadata.type not in (None, MigrationType.MAJOR_UPGRADE, computed.type):
        found.append(
            Finding(
                TYPE_RULE,
                Severity.ERROR,
                f"type is {metadata.type.value!r}, the statements make it {computed.type.value!r}{why}",
                f"write type: {computed.type.value}, or leave it out: it is computed",
            )
        )
    if computed.requires_downtime and not metadata.requires_downtime:
        found.append(
            Finding(
                DOWNTIME_RULE,
                Severity.WARNING,
                "the application will wait: " + "; ".join(r for r in computed.reasons if r.startswith("line ")),
                "choose the safe alternative of the finding on that statement, or write requires_downtime: true",
            )
        )
    return [*found, *_empty(inspection), *_in_parts(inspection), *own_words.contradictions(metadata, inspection)]


def _empty(inspection: Inspection) -> list[Finding]:
    """A file of comments would be recorded as applied, and everybody would believe that something was done."""
    files = (script.parsed for script in inspection.scripts)
    found = [
        Finding(EMPTY_RULE, Severity.ERROR, _nothing(one), "write what is to be done, or remove it", file=one.file)
        for one in files
        if not one.statements and not one.unparsed and not (one.step_kind == GATE and not one.text)
    ]  # of a gate at which a person is asked there is no text
    undo = inspection.rollback.parsed if inspection.rollback is not None else None
    if undo is not None and not undo.statements and not undo.unparsed:
        hint = "write what undoes the migration, or say rollback_available: false"
        message = f"{_nothing(undo)}, so it undoes nothing, but rollback_available is true"
        found.append(Finding(EMPTY_RULE, Severity.ERROR, message, hint, file=undo.file))
    return found


def _in_parts(inspection: Inspection) -> Iterator[Finding]:
    """Constraints that PostgreSQL adds to a partitioned table only where its partitions have them."""
    for script in inspection.scripts:
        if script.parsed.step_kind != CONSTRAINT:
            continue
        for subject in script.subjects:
            what = _by_partition(subject.statement, subject.world.major)
            table = subject.world.name(subject.statement.tree.relation) if what else ""
            facts = subject.world.relation(table) if what else None
            if what is None or facts is None or facts.kind != "p":
                continue
            parts = ", ".join(subject.world.leaves(table)[:NAMED]) or "there is none yet"
            yield Finding(
                PARTS_RULE,
                Severity.ERROR,
                f"{table} is partitioned, and PostgreSQL {subject.world.major} adds {what} to it only as a whole",
                f"give it to each partition ({parts}) by a step of this kind with the same definition and a name of"
                f" its own; then add it to {table} by ALTER TABLE in a step of kind sql, which takes over what the"
                " partitions have and reads nothing",
                file=script.parsed.file,
                line=subject.statement.line,
                column=subject.statement.column,
                statement=subject.statement.index,
            )


def _by_partition(statement: ParsedStatement, major: int) -> str | None:
    if statement.name == "index_stmt":
        return "a key"
    if "AT_AddConstraint" not in statement.subtypes or major >= FOREIGN_KEYS_NOT_VALID:
        return None
    constraint = getattr(statement.tree.cmds[0].alter_table_cmd, "def").constraint
    return "a foreign key" if enum(constraint, "contype") == "CONSTR_FOREIGN" else None


def _nothing(parsed: ParsedFile) -> str:
    return "has nothing but what is left out" if parsed.aside.left_out else "has no statement"
