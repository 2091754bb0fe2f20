"""Values that a column gets past its sequence, which gives the same ones again: a new identity counts from 1, and a
row with an id of its own moves no sequence (nextval in src/backend/commands/sequence.c is all that does)."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.effects import World
from migrator.analysis.effects.names.definitions import own_sequence
from migrator.analysis.rules.alteration import alterations
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.script import Script
from migrator.analysis.walk.subject import Subject
from migrator.facts.constants import constant_text, sequences_of
from migrator.facts.facts import ColumnFacts
from migrator.facts.names import SERIAL_SEQUENCE
from migrator.frozen import frozen
from migrator.parsing.build import as_written, build, relation_text, script
from migrator.parsing.nodes import Node, enum, find, name_of, option, strings
from migrator.plan import Severity

_ADDING = ("insert_stmt", "merge_stmt", "select_stmt", "update_stmt", "delete_stmt", "create_table_as_stmt")
"""Statements that are, or can have in a WITH, an INSERT."""
MAX_COLUMNS = 1600


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
            if any(_moves(later, item) for later in subjects[place:]):  # the statement itself may, too
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
                (own_sequence(item.table, column),),
                f"the identity of {item.table}.{column} counts from 1, and the rows have numbers already: the next"
                " INSERT fails, or gives a number twice",
                item.position,
            )


def _explicit(subject: Subject) -> Iterator[Behind]:
    world = subject.world
    for written in _writings(subject):
        table = world.name(written.relation)
        facts = world.relation(table)
        if facts is None:
            continue
        for place, name in enumerate(written.columns or facts.columns):
            column = facts.columns.get(name)
            if column is None or not (column.identity or column.sequences) or not written.gives(place, column):
                continue
            yield Behind(
                subject,
                table,
                written.relation,
                name,
                tuple(column.sequences) or (own_sequence(table, name),),
                f"{written.kind} gives {table}.{name} values of its own, and its sequence stays where it is:"
                " a later INSERT that takes its number from there fails, or gives a number twice",
            )


@frozen
class Writing:
    """Rows that a statement, or a part of it, adds to a table."""

    relation: Node
    columns: tuple[str, ...]
    """As it lists them; none: all of the table."""
    rows: tuple[tuple[Node, ...], ...] | None
    """The values that it writes down; None: those of a file."""
    user_value: bool = False
    """OVERRIDING USER VALUE."""
    kind: str = "INSERT"
    """Which of them it is; it may stand in the WITH of another statement."""

    def gives(self, place: int, column: ColumnFacts) -> bool:
        """Whether it writes values of its own in this column."""
        if column.identity and self.user_value:
            return False
        return self.rows is None or any(place < len(row) and not _takes_number(row[place]) for row in self.rows)


def _writings(subject: Subject) -> Iterator[Writing]:
    statement, tree = subject.statement, subject.statement.tree
    if statement.name == "copy_stmt" and tree.is_from and tree.HasField("relation"):
        yield Writing(tree.relation, strings(tree.attlist), None, kind="COPY")
    for item in find(statement.node, "InsertStmt", "MergeStmt") if statement.name in _ADDING else ():
        if type(item).__name__ == "InsertStmt":
            rows = tuple(_rows(item.select_stmt.select_stmt, subject.world)) if item.HasField("select_stmt") else ()
            yield Writing(item.relation, _listed(item.cols), rows, _user_value(item))
            continue
        for clause in (one.merge_when_clause for one in item.merge_when_clauses):
            if enum(clause, "command_type") == "CMD_INSERT":
                row = (tuple(clause.values),)
                yield Writing(item.relation, _listed(clause.target_list), row, _user_value(clause), "MERGE")


def _listed(targets: Node) -> tuple[str, ...]:
    return tuple(item.res_target.name for item in targets)


def _user_value(item: Node) -> bool:
    return enum(item, "override") == "OVERRIDING_USER_VALUE"


def _rows(select: Node, world: World) -> Iterator[tuple[Node, ...]]:
    """Of all arms of a UNION."""
    arms = [select]
    while arms:
        arm = arms.pop()
        if enum(arm, "op") != "SETOP_NONE":
            arms += [arm.larg, arm.rarg]
        elif arm.values_lists:
            yield from (tuple(row.list.items) for row in arm.values_lists)
        else:
            values = [target.res_target.val for target in arm.target_list]
            yield tuple(value for one in values for value in [one] * (_width(arm, world) if _is_star(one) else 1))


def _is_star(value: Node) -> bool:
    return name_of(value) == "column_ref" and name_of(value.column_ref.fields[-1]) == "a_star"


def _width(select: Node, world: World) -> int:
    """How many columns `*` is."""
    sources = [item.range_var for item in select.from_clause if item.HasField("range_var")]
    known = world.relation(world.name(sources[0])) if len(sources) == len(select.from_clause) == 1 else None
    return len(known.columns) if known is not None and known.columns else MAX_COLUMNS


def _takes_number(value: Node) -> bool:
    """A number that no sequence gives is none of its own, either."""
    if name_of(value) == "set_to_default":
        return True
    if name_of(value) == "a_const" and value.a_const.HasField("ival"):
        return bool(value.a_const.ival.ival < 1)
    return any(strings(call.funcname)[-1:] == ("nextval",) for call in find(value, "FuncCall"))


def _moves(later: Subject, item: Behind) -> bool:
    """setval(), RESTART WITH a number; also where nobody can read of which sequence."""
    tree, world = later.statement.tree, later.world
    if later.statement.name == "alter_seq_stmt":
        return _restarts(tree.options) and world.name(tree.sequence) in item.sequences
    if later.statement.name == "alter_table_stmt":
        return world.name(tree.relation) == item.table and any(
            _restarts(getattr(command, "def").list.items)
            for command in find(tree, "AlterTableCmd")
            if enum(command, "subtype") == "AT_SetIdentity" and command.name == item.column
        )
    return any(_sets(call, world, item) for call in find(tree, "FuncCall"))


def _restarts(options: Node) -> bool:
    """Without a number it begins where it first did, unless that is changed along."""
    found = option(options, "restart")
    return found is not None and (found.HasField("arg") or option(options, "start") is not None)


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
            "SELECT setval(pg_get_serial_sequence('seen', 'named'), greatest((SELECT max(col) FROM tbl), 1))",
            seen=relation_text(item.relation),
            named=item.column,
            col=item.column,
            tbl=item.relation,
        )
    else:
        sets = build(
            "SELECT setval('seq', greatest((SELECT max(col) FROM tbl), 1))",
            seq=as_written(item.sequences[0]),
            col=item.column,
            tbl=item.relation,
        )
    return script((item.subject.statement.node, sets))


RULE = Rule(
    id="sequence-left-behind",
    severity=Severity.WARNING,
    condition="ADD GENERATED ... AS IDENTITY without START WITH on a table that has rows; INSERT, MERGE or COPY of"
    " values into a column that takes its numbers from a sequence; neither with a setval() or RESTART WITH after it",
    effect="the application's next INSERT gets a number that is there already: 23505, or two rows with one number",
    alternative="setval() to the largest number, in the same migration",
    without_sql="for COPY, and inside of functions and DO blocks: there add SELECT setval(sequence,"
    " greatest((SELECT max(column) FROM table), 1)) after it",
    source=DOCS + "functions-sequence.html#FUNCTIONS-SEQUENCE-TABLE",
    script=check,
    in_rollback=True,
)
