"""Type, risk and downtime of a migration, with the reasons: the runbook's table, computed.

| type | risk | downtime |
| schema addition | low | none |
| schema modification | medium | minimal |
| schema removal | high | none, with a strategy |
| data migration | medium | none, with a strategy |
| major upgrade | high | planned |

A major upgrade cannot be seen in SQL: it is what the metadata says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from migrator import wording
from migrator.analysis.called_functions import CHANGES, CalledFunctions
from migrator.analysis.effects.world import World
from migrator.analysis.own_relations import OwnRelations, own_relations
from migrator.analysis.rules.model import SMALL_ROWS, rows_of, size_text
from migrator.analysis.walk.subject import Subject
from migrator.frozen import frozen
from migrator.lock_modes import blocks_writes
from migrator.parsing.kinds import object_name
from migrator.parsing.nodes import Node, commands, enum, find, flag, strings
from migrator.plan import MigrationType, Risk

if TYPE_CHECKING:
    from migrator.analysis.estimate.model import LockWait

_ADDITION = MigrationType.SCHEMA_ADDITION
_MODIFICATION = MigrationType.SCHEMA_MODIFICATION
_REMOVAL = MigrationType.SCHEMA_REMOVAL
_DATA = MigrationType.DATA_MIGRATION

RISK_OF: dict[MigrationType, Risk] = {
    _ADDITION: Risk.LOW,
    _MODIFICATION: Risk.MEDIUM,
    _DATA: Risk.MEDIUM,
    _REMOVAL: Risk.HIGH,
    MigrationType.MAJOR_UPGRADE: Risk.HIGH,
}
_PRECEDENCE = (_REMOVAL, _MODIFICATION, _DATA, _ADDITION)

_NEUTRAL = frozenset(
    [
        "select_stmt",
        "variable_set_stmt",
        "variable_show_stmt",
        "explain_stmt",
        "transaction_stmt",
        "lock_stmt",
        "listen_stmt",
        "notify_stmt",
        "unlisten_stmt",
        "load_stmt",
        "check_point_stmt",
        "discard_stmt",
        "constraints_set_stmt",
        "prepare_stmt",
        "deallocate_stmt",
        "declare_cursor_stmt",
        "fetch_stmt",
        "close_portal_stmt",
        "vacuum_stmt",
    ]
)
_DML = {
    "insert_stmt": "adds rows to",
    "update_stmt": "changes rows of",
    "delete_stmt": "deletes rows of",
    "merge_stmt": "merges rows into",
}
_INSIDE = dict(zip(CHANGES, _DML, strict=True))
_NOT_RUN = frozenset(["create_function_stmt", "prepare_stmt", "do_stmt"])
"""What has statements inside that it does not run, or that are judged by themselves."""
_WRITES_BACK = frozenset("cnd")
"""ON DELETE CASCADE, SET NULL, SET DEFAULT (pg_constraint.confdeltype)."""
_TELLS = ("ColumnRef", "SubLink", "FuncCall", "CurrentOfExpr")
"""In a condition: what may be true of one row and false of another."""
_HARMLESS_DROPS = frozenset(
    [
        "OBJECT_INDEX",
        "OBJECT_TRIGGER",
        "OBJECT_RULE",
        "OBJECT_POLICY",
        "OBJECT_STATISTIC_EXT",
        "OBJECT_PUBLICATION",
        "OBJECT_CAST",
    ]
)


LONG_SECONDS = 10.0
"""An application whose queries wait for so long is down for its users."""
MANY_WAITING = 1_000
"""So many queries that wait at once take every connection there is."""


@frozen
class Classification:
    type: MigrationType
    risk: Risk
    requires_downtime: bool
    reasons: tuple[str, ...]


@frozen
class _Verdict:
    type: MigrationType
    reason: str
    risk: Risk | None = None


def classify(
    subjects: Sequence[Subject],
    waits: Sequence[LockWait] = (),
    *,
    unread: int = 0,
    rights: Sequence[str] = (),
    unseen: Sequence[str] = (),
) -> Classification:
    """From the statements in order. Without any statement of weight it is an addition of low risk. `waits`: what sizes
    and traffic say about the locks; who makes many wait, or long, has a high risk whatever the statement is called.
    `rights`: what the migration, its rollback included, does to rights or beyond the database: no size makes it small.
    `unseen`: what runs and could not be looked into, in words; it has no low risk either.
    `unread`: problems that kept something from being read; what it would do is unknown, so its risk is not low."""
    own = own_relations(subjects)
    verdicts = [verdict for subject in subjects for verdict in (*_judge(subject, own), *_inside(subject, own))]
    kind = next((kind for kind in _PRECEDENCE if any(item.type is kind for item in verdicts)), _ADDITION)
    reasons = [f"{_title(item.type)}: {item.reason}" for item in verdicts if item.type is kind]
    risk = max((item.risk or RISK_OF[item.type] for item in verdicts), key=lambda value: value.rank, default=Risk.LOW)
    reasons += [item.reason for item in verdicts if item.risk is risk and item.type is not kind]
    blocking = list(dict.fromkeys(text for subject in subjects for text in _blocks(subject)))
    if blocking and risk is Risk.LOW:
        risk = Risk.MEDIUM
    felt = [item for item in waits if (item.hold_seconds or 0.0) >= LONG_SECONDS or item.waiting >= MANY_WAITING]
    if felt:
        risk = Risk.HIGH
    if rights:
        risk = Risk.HIGH
        reasons += rights
    called = CalledFunctions.of(subjects, own)
    doubts = [*(text for subject in subjects for text in called.doubts(subject)), *unseen]
    if doubts:
        risk = max(risk, Risk.MEDIUM, key=lambda value: value.rank)
        reasons += doubts
    if unread:
        risk = max(risk, Risk.MEDIUM, key=lambda value: value.rank)
        reasons.append(f"{wording.count(unread, 'part')} could not be read: what it does is not known")
    reasons += [_felt(item) for item in felt]
    return Classification(kind, risk, bool(blocking or felt), tuple(dict.fromkeys([*reasons, *blocking])))


def _felt(wait: LockWait) -> str:
    queries = f", while about {wait.waiting:,} queries come" if wait.waiting else ""
    return f"{wait.mode} on {wait.relation} is held for about {wording.seconds(wait.hold_seconds or 0.0)}{queries}"


def _title(kind: MigrationType) -> str:
    return kind.value.replace("_", " ")


def _blocks(subject: Subject) -> Iterator[str]:
    """Relations whose writers (or readers) wait for work that grows with the number of rows."""
    busy = dict.fromkeys((*subject.effects.rewrites, *subject.effects.scans))
    for relation in busy:
        mode = subject.effects.mode_on(relation)
        rows = rows_of(subject, relation)
        if mode and blocks_writes(mode) and (rows is None or rows >= SMALL_ROWS):
            doing = "rewrites" if relation in subject.effects.rewrites else "reads all of"
            place = f"line {subject.statement.line}"
            yield f"{place}: holds {mode} on {relation}{size_text(subject, relation)} while it {doing} it"


def _judge(subject: Subject, own: OwnRelations) -> Iterator[_Verdict]:
    node, world, kind = subject.statement.node, subject.world, subject.statement.kind
    name, tree = subject.statement.name, subject.statement.tree
    if name in _NEUTRAL:
        if name == "vacuum_stmt" and kind == "VACUUM FULL":
            yield _Verdict(_MODIFICATION, "VACUUM FULL rewrites tables")
        elif name == "select_stmt" and tree.HasField("into_clause"):
            yield _Verdict(_ADDITION, "creates a table")
    elif name in _DML or name == "copy_stmt":
        yield from _rows(name, tree, world, own)
    elif name == "truncate_stmt":
        tables = [world.name(item.range_var) for item in tree.relations if item.HasField("range_var")]
        live = [_with_below(table, world) for table in tables if not own.has(table, world)]
        if enum(tree, "behavior") == "DROP_CASCADE":
            below = (leaf for table in tables for leaf in world.leaves(table))
            live += [table for table in own.along((*tables, *below), world) if table not in live]
        if live:
            yield _Verdict(_DATA, f"empties {', '.join(live)}", Risk.HIGH)
    elif name == "alter_table_stmt":
        yield from _alter_table(tree, world, own)
    elif name == "drop_stmt":
        yield from _drop(tree, world, own)
    elif name in (
        "dropdb_stmt",
        "drop_role_stmt",
        "drop_owned_stmt",
        "drop_table_space_stmt",
        "drop_subscription_stmt",
    ):
        yield _Verdict(_REMOVAL, kind)
    elif name in ("do_stmt", "call_stmt", "execute_stmt"):
        if not subject.effects.known:  # else what is inside is judged by itself
            yield _Verdict(_MODIFICATION, f"{kind} can do anything; it is not followed in detail")
    elif name in ("create_trig_stmt", "rule_stmt", "create_policy_stmt"):
        relation = tree.table if name == "create_policy_stmt" else tree.relation
        table = world.name(relation)
        if world.is_certainly_new(table):
            yield _Verdict(_ADDITION, f"{kind} on a new table")
        else:
            yield _Verdict(_MODIFICATION, f"{kind} changes how {table} behaves")
    elif name == "rename_stmt":
        yield from _rename(tree, world, kind)
    elif name == "view_stmt" and tree.replace and world.relation(world.name(tree.view)) is not None:
        yield _Verdict(_MODIFICATION, f"replaces the view {world.name(tree.view)}")
    elif name in ("grant_stmt", "grant_role_stmt"):
        yield _Verdict(_ADDITION if tree.is_grant else _MODIFICATION, kind)
    elif name == "alter_enum_stmt":
        renames = bool(tree.old_val)
        yield _Verdict(
            _MODIFICATION if renames else _ADDITION, "renames an enum value" if renames else "adds an enum value"
        )
    elif name.startswith(("alter_", "reindex_", "cluster_", "refresh_", "reassign_")):
        if not _on_new(node, world):
            yield _Verdict(_MODIFICATION, kind)
    elif (
        name == "create_table_as_stmt"
        or name.startswith(("create_", "composite_", "index_", "define_", "view_", "createdb", "import_"))
        or name in ("comment_stmt", "sec_label_stmt")
    ):
        yield _Verdict(_ADDITION, kind)
    else:
        yield _Verdict(_MODIFICATION, f"{kind} is not known to be an addition")


def _inside(subject: Subject, own: OwnRelations) -> Iterator[_Verdict]:
    """What stands in a statement and changes rows when it runs, or when its rule does: EXPLAIN ANALYZE, WITH, a rule's
    actions. Triggers are not followed there."""
    name, tree, world = subject.statement.name, subject.statement.tree, subject.world
    if name in _NOT_RUN or (name == "explain_stmt" and not flag(tree.options, "analyze", default=False)):
        return
    for change in find(tree, *CHANGES):
        if change is tree:
            continue
        table, what = world.name(change.relation), _INSIDE[type(change).__name__]
        facts = world.relation(table)
        if own.has(table, world) and facts is not None and facts.triggers:
            yield _Verdict(_DATA, f"{_DML[what]} {table}, whose triggers are not followed")
        else:
            yield from _rows(what, change, world, own)
    if name != "execute_stmt" and any(True for _ in find(tree, "ExecuteStmt")):
        yield _Verdict(_MODIFICATION, "EXECUTE can do anything; it is not followed in detail")


def _rows(name: str, tree: Node, world: World, own: OwnRelations) -> Iterator[_Verdict]:
    if name == "copy_stmt":
        if not tree.is_from or not tree.HasField("relation"):
            return
        doing, table = "loads rows into", world.name(tree.relation)
    else:
        doing, table = _DML[name], world.name(tree.relation)
    along = own.along((table, *world.leaves(table)), world, _WRITES_BACK) if name == "delete_stmt" else ()
    if along:
        some = tree.HasField("where_clause")
        what = f"deletes or changes rows of {', '.join(along)}, which refer to {table}"
        yield _Verdict(_DATA, what, Risk.MEDIUM if some else Risk.HIGH)
    if own.has(table, world):
        yield _Verdict(_ADDITION, f"{doing} the new table {table}")
        return
    table = _with_below(table, world) if tree.relation.inh else table
    whole = name in ("update_stmt", "delete_stmt") and not _chooses(tree, "where_clause")
    none_given = whole and not tree.HasField("where_clause")
    emptied = name == "merge_stmt" and _empties(tree)
    risk = Risk.HIGH if (name == "delete_stmt" and whole) or emptied else None
    how = " without WHERE" if none_given else ", each of them" if whole or emptied else ""
    yield _Verdict(_DATA, f"{doing} {table}{how}", risk)


def _chooses(tree: Node, field: str) -> bool:
    """Whether a condition is there, and tells one row from another."""
    return tree.HasField(field) and any(True for _ in find(getattr(tree, field), *_TELLS))


def _empties(merge: Node) -> bool:
    """Whether it deletes whatever row there is."""
    deletes = (one.merge_when_clause for one in merge.merge_when_clauses)
    return not _chooses(merge, "join_condition") and any(
        enum(one, "command_type") == "CMD_DELETE" and not _chooses(one, "condition") for one in deletes
    )


def _with_below(table: str, world: World) -> str:
    """A new table that has others' below it has no rows of its own to speak of."""
    below = [leaf for leaf in world.leaves(table) if not world.is_certainly_new(leaf)]
    return f"{', '.join(below)}, below {table}" if below and world.is_certainly_new(table) else table


def _alter_table(tree: Node, world: World, own: OwnRelations) -> Iterator[_Verdict]:
    table = world.name(tree.relation)
    if own.made(table, world):
        yield _Verdict(_ADDITION, f"completes the new relation {table}")
        return
    for command in commands(tree):
        subtype = enum(command, "subtype")
        if subtype == "AT_DropColumn":
            yield _Verdict(_REMOVAL, f"drops column {table}.{command.name}")
        elif subtype == "AT_AddColumn":
            yield _Verdict(_ADDITION, f"adds column {table}.{getattr(command, 'def').column_def.colname}")
        elif subtype == "AT_AlterColumnType" and _forgets(getattr(command, "def").column_def):
            yield _Verdict(_DATA, f"gives column {table}.{command.name} other values, whatever it has", Risk.HIGH)
        elif subtype == "AT_AttachPartition":
            yield _Verdict(_MODIFICATION, f"attaches a partition to {table}")
        else:
            yield _Verdict(_MODIFICATION, f"alters {table} ({_subtype_title(subtype)})")


def _forgets(column: Node) -> bool:
    """Whether USING makes the new value of nothing that is there."""
    return column.HasField("raw_default") and not _chooses(column, "raw_default")


def _subtype_title(subtype: str) -> str:
    words = "".join(f" {char}" if char.isupper() else char for char in subtype.removeprefix("AT_"))
    return words.strip().upper()


def _drop(tree: Node, world: World, own: OwnRelations) -> Iterator[_Verdict]:
    objtype = enum(tree, "remove_type")
    for item in tree.objects:
        parts = strings(item.list.items) if item.HasField("list") else ()
        name = world.dotted(parts) if parts else ""
        if name and own.made(name, world):
            continue
        what = f"drops {object_name(objtype).lower()} {'.'.join(parts) or ''}".strip()
        yield _Verdict(_MODIFICATION if objtype in _HARMLESS_DROPS else _REMOVAL, what)


def _rename(tree: Node, world: World, kind: str) -> Iterator[_Verdict]:
    if tree.HasField("relation") and world.is_certainly_new(world.name(tree.relation)):
        yield _Verdict(_ADDITION, "renames something new")
        return
    yield _Verdict(_MODIFICATION, f"{kind} RENAME: whoever uses the old name fails")


def _on_new(node: Node, world: World) -> bool:
    """Whether every relation that the statement names was created by this migration."""
    relations = [world.name(item) for item in find(node, "RangeVar")]
    return bool(relations) and all(world.is_certainly_new(relation) for relation in relations)
