"""Values that a column gets past its sequence, which gives the same ones again: a new identity counts from 1, and a
row with an id of its own moves no sequence (nextval in src/backend/commands/sequence.c is all that does)."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.effects import World
from migrator.analysis.rules.alteration import alterations
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.script import Script
from migrator.analysis.walk.subject import Subject
from migrator.facts.facts import ColumnFacts
from migrator.facts.names import SERIAL_SEQUENCE, constant_text, sequences_of
from migrator.frozen import frozen
from migrator.parsing.build import as_written, build, relation_text, script
from migrator.parsing.nodes import Node, enum, find, name_of, option, strings
from migrator.plan import Severity


@frozen
class Behind:
    """A column whose sequence may give values that it has."""

    subject: Subject
    table: str
    relation: Node
    column: str
    sequences: tuple[str, ...]
    message: str
    part: int | None = None


def check(script_: Script) -> Iterator[Hit]:
    subjects = script_.everything()
    for place, subject in enumerate(subjects):
        explicit = () if script_.rollback else _explicit(subject)  # there it gives back what the sequence once gave
        for item in (*_identities(subject), *explicit):
            if any(_moves(later, item) for later in subjects[place + 1 :]):
                continue
            yield Hit(item.message, subject=subject, part=item.part, alternative_sql=_with_setval(item))


def _identities(subject: Subject) -> Iterator[Behind]:
    for item in alterations(subject, "AT_AddIdentity"):
        facts = item.facts
        if facts is not None and facts.rows == 0 and facts.bytes == 0:
            continue
        options = getattr(item.command, "def").constraint.options
        if option(options, "start") is None and option(options, "restart") is None:
            column = item.command.name
            yield Behind(
                subject,
                item.table,
                item.relation,
                column,
                (f"{item.table}_{column}_seq",),
                f"the identity of {item.table}.{column} counts from 1, and the rows have numbers already: the next"
                " INSERT fails, or gives a number twice",
                item.position,
            )


def _explicit(subject: Subject) -> Iterator[Behind]:
    statement, tree, world = subject.statement, subject.statement.tree, subject.world
    if statement.name == "copy_stmt" and not (tree.is_from and tree.HasField("relation")):
        return
    if statement.name not in ("insert_stmt", "copy_stmt") or not tree.relation.relname:
        return
    table = world.name(tree.relation)
    facts = world.relation(table)
    if facts is None:
        return
    listed = strings(tree.attlist) if statement.name == "copy_stmt" else tuple(i.res_target.name for i in tree.cols)
    names = listed or tuple(facts.columns)
    for place, name in enumerate(names):
        column = facts.columns.get(name)
        if column is None or not (column.identity or column.sequences):
            continue
        if statement.name == "insert_stmt" and not _given(tree, place, column):
            continue
        yield Behind(
            subject,
            table,
            tree.relation,
            name,
            tuple(column.sequences) or (f"{table}_{name}_seq",),
            f"{statement.kind} gives {table}.{name} values of its own, and its sequence stays where it is: a later"
            " INSERT that takes its number from there fails, or gives a number twice",
        )


def _given(tree: Node, place: int, column: ColumnFacts) -> bool:
    """Whether an INSERT writes values of its own in this column."""
    if column.identity and enum(tree, "override") == "OVERRIDING_USER_VALUE":
        return False
    if not tree.HasField("select_stmt"):  # DEFAULT VALUES
        return False
    select = tree.select_stmt.select_stmt
    if select.values_lists:
        rows = [row.list.items for row in select.values_lists]
        return any(place < len(row) and not _takes_number(row[place]) for row in rows)
    while enum(select, "op") != "SETOP_NONE":
        select = select.larg
    if any(name_of(target.res_target.val) == "column_ref" and "*" in str(target) for target in select.target_list):
        return True
    if place >= len(select.target_list):
        return False
    return not _takes_number(select.target_list[place].res_target.val)


def _takes_number(value: Node) -> bool:
    if name_of(value) == "set_to_default":
        return True
    return any(strings(call.funcname)[-1:] == ("nextval",) for call in find(value, "FuncCall"))


def _moves(later: Subject, item: Behind) -> bool:
    """setval(), RESTART WITH a number; also where nobody can read of which sequence."""
    tree, world = later.statement.tree, later.world
    if later.statement.name == "alter_seq_stmt":
        found = option(tree.options, "restart")
        return found is not None and found.HasField("arg") and world.name(tree.sequence) in item.sequences
    if later.statement.name == "alter_table_stmt":
        return world.name(tree.relation) == item.table and any(
            option(getattr(command, "def").list.items, "restart") is not None
            for command in find(tree, "AlterTableCmd")
            if enum(command, "subtype") == "AT_SetIdentity" and command.name == item.column
        )
    return any(_sets(call, world, item) for call in find(tree, "FuncCall"))


def _sets(call: Node, world: World, item: Behind) -> bool:
    if strings(call.funcname)[-1:] != ("setval",) or not len(call.args):
        return False
    inner = call.args[0].func_call if name_of(call.args[0]) == "func_call" else None
    if inner is not None and strings(inner.funcname)[-1:] == (SERIAL_SEQUENCE,) and len(inner.args) == 2:
        text, column = constant_text(inner.args[0]), constant_text(inner.args[1])
        tables = [world.dotted(tuple(part for part in name if part)) for name in sequences_of(inner)]
        return text is None or (item.table in tables and column in (None, item.column))
    names = [world.dotted(tuple(part for part in name if part)) for name in sequences_of(call)]
    return not names or any(name in item.sequences for name in names)


def _with_setval(item: Behind) -> str | None:
    """The statement, and the sequence put beyond all that is there."""
    if item.subject.nested or item.subject.statement.name == "copy_stmt":
        return None
    known = item.subject.world.relation(item.sequences[0])
    if known is None or known.owned_by == item.table:
        sets = build(
            "SELECT setval(pg_get_serial_sequence('seen', 'named'), (SELECT max(col) FROM tbl))",
            seen=relation_text(item.relation),
            named=item.column,
            col=item.column,
            tbl=item.relation,
        )
    else:
        sets = build(
            "SELECT setval('seq', (SELECT max(col) FROM tbl))",
            seq=as_written(item.sequences[0]),
            col=item.column,
            tbl=item.relation,
        )
    return script((item.subject.statement.node, sets))


RULE = Rule(
    id="sequence-left-behind",
    severity=Severity.WARNING,
    condition="ADD GENERATED ... AS IDENTITY without START WITH on a table that has rows; INSERT or COPY of values into"
    " a column that takes its numbers from a sequence; neither with a setval() or RESTART WITH after it",
    effect="the application's next INSERT gets a number that is there already: 23505, or two rows with one number",
    alternative="setval() to the largest number, in the same migration",
    without_sql="for COPY, and inside of functions and DO blocks: there add SELECT setval(sequence, (SELECT"
    " max(column) FROM table)) after it",
    source=DOCS + "functions-sequence.html#FUNCTIONS-SEQUENCE-TABLE",
    script=check,
    in_rollback=True,
)
