"""What a rename leaves behind: the new name, wherever the old one is known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from migrator.analysis.effects.expressions import not_null_columns
from migrator.analysis.effects.names.definitions import object_name
from migrator.analysis.effects.replay.alter import typed_tables
from migrator.analysis.effects.replay.draft import Draft, Replay
from migrator.analysis.effects.replay.other import (
    RELATIONS,
    add_functions,
    drop_functions,
    move_routine,
    move_statistics,
    move_type,
)
from migrator.facts.facts import ColumnFacts, altered
from migrator.facts.names import ROUTINES
from migrator.parsing.nodes import Node, enum

_LABELS = {
    "OBJECT_ROLE": "role",
    "OBJECT_FOREIGN_SERVER": "server",
    "OBJECT_FDW": "fdw",
    "OBJECT_PUBLICATION": "publication",
}
_NAME = re.compile(r'"(?:[^"]|"")*"|[\w$]+')


def rename(stmt: Node, draft: Draft) -> None:
    kind = enum(stmt, "rename_type")
    if kind in ("OBJECT_TYPE", "OBJECT_DOMAIN"):
        move_type(object_name(stmt.object), None, stmt.newname, draft)
        return
    if kind == "OBJECT_SCHEMA":
        _rename_schema(stmt.subname, stmt.newname, draft)
        return
    if kind in ROUTINES:
        move_routine(stmt.object.object_with_args, None, stmt.newname, draft)
        return
    if kind == "OBJECT_STATISTIC_EXT":
        move_statistics(object_name(stmt.object), None, stmt.newname, draft)
        return
    if kind == "OBJECT_DOMCONSTRAINT":
        _rename_domain_constraint(stmt, draft)
        return
    if kind in _LABELS:
        draft.changes[(_LABELS[kind], object_name(stmt.object)[-1])] = False
        draft.changes[(_LABELS[kind], stmt.newname)] = True
        return
    if kind == "OBJECT_COLLATION":  # another schema may have one of the old name
        draft.changes[("collation", stmt.newname)] = True
        return
    if not stmt.HasField("relation"):
        return
    name = draft.world.name(stmt.relation)
    if kind in RELATIONS:
        _rename_relation(name, stmt.newname, draft)
    elif kind == "OBJECT_COLUMN":
        for table in (name, *draft.world.leaves(name)):
            _rename_column(table, stmt.subname, stmt.newname, draft)
    elif kind == "OBJECT_ATTRIBUTE":
        for table in (name, *typed_tables(name, draft.world)):
            _rename_column(table, stmt.subname, stmt.newname, draft)
    elif kind == "OBJECT_TABCONSTRAINT":
        facts = draft.relation(name)
        if facts is not None:
            changed = (
                altered(item, name=stmt.newname) if item.name == stmt.subname else item for item in facts.constraints
            )
            draft.put(altered(facts, constraints=tuple(changed)))
            key = f"{name.rpartition('.')[0]}.{stmt.subname}"
            if any(item.name == key for item in facts.indexes):
                draft.rename(key, f"{name.rpartition('.')[0]}.{stmt.newname}")
    elif kind in ("OBJECT_TRIGGER", "OBJECT_RULE", "OBJECT_POLICY"):
        for table in (name, *draft.world.leaves(name)) if kind == "OBJECT_TRIGGER" else (name,):
            _rename_part(table, kind, stmt.subname, stmt.newname, draft)


def _rename_relation(old: str, new: str, draft: Draft) -> None:
    """The constraint that an index backs is called as the index is."""
    facts, renamed = draft.relation(old), f"{old.rpartition('.')[0]}.{new}"
    draft.rename(old, renamed)
    table = draft.relation(facts.table) if facts is not None and facts.table else None
    if table is not None:
        constraints = (
            altered(item, name=new) if item.index == renamed and item.kind in "pux" else item
            for item in table.constraints
        )
        draft.put(altered(table, constraints=tuple(constraints)))


def _rename_part(table: str, kind: str, old: str, new: str, draft: Draft) -> None:
    facts = draft.relation(table)
    if facts is None:
        return
    if kind == "OBJECT_POLICY":
        draft.put(altered(facts, policies=tuple(new if name == old else name for name in facts.policies)))
    elif kind == "OBJECT_RULE":
        rules = tuple(altered(item, name=new) if item.name == old else item for item in facts.rules)
        draft.put(altered(facts, rules=rules))
    else:
        triggers = tuple(altered(item, name=new) if item.name == old else item for item in facts.triggers)
        draft.put(altered(facts, triggers=triggers))


def _rename_domain_constraint(stmt: Node, draft: Draft) -> None:
    parts = object_name(stmt.object)
    facts, known = draft.world.domain(parts), draft.world.type(parts)
    if facts is not None:
        named = tuple(
            altered(item, name=stmt.newname) if item.name == stmt.subname else item for item in facts.constraints
        )
        name = known.name if known is not None else draft.world.dotted(parts)
        draft.changes[("domain", name)] = altered(facts, constraints=named)


def _rename_schema(old: str, new: str, draft: Draft) -> None:
    """Relations that nobody asked about are there under the new name, too."""
    draft.changes[("schema", old)] = False
    draft.changes[("schema", new)] = True
    draft.changes[("moved schema", new)] = True
    facts = draft.world.facts
    for name in facts.relations if facts is not None else ():
        if name.startswith(f"{old}.") and draft.relation(name) is not None:
            draft.rename(name, f"{new}.{name.partition('.')[2]}")
    for name in {*(facts.functions if facts is not None else ()), *_written("function", draft)}:
        moving = draft.world.functions((old, name))
        if moving:
            drop_functions(name, moving, draft)
            add_functions(name, tuple(altered(item, schema=new) for item in moving), draft)
    for name in {*(facts.types if facts is not None else ()), *_written("type", draft)}:
        if name.startswith(f"{old}."):
            move_type((old, name.partition(".")[2]), new, None, draft)


def _written(word: str, draft: Draft) -> Iterator[str]:
    """Names of what the migration has changed."""
    return (key[1] for key in draft.world.state.written() if isinstance(key, tuple) and key[0] == word)


def _rename_column(table: str, old: str, new: str, draft: Draft) -> None:
    facts = draft.relation(table)
    if facts is None:
        partial = draft.partial(table)
        if old in partial.columns:
            draft.remember(altered(partial, columns=_renamed_key(partial.columns, old, new)))
        return

    def many(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(new if name == old else name for name in names)

    constraints = []
    for item in facts.constraints:
        proves = item.proves
        if item.kind in ("c", "n") and old in item.columns:
            known = proves if proves is not None else not_null_columns(item.definition)
            proves = frozenset(many(tuple(known)))
        constraints.append(altered(item, columns=many(item.columns), proves=proves))
    draft.put(
        altered(
            facts,
            columns=_renamed_key(facts.columns, old, new),
            partition_key=_renamed_word(facts.partition_key, old, new),
            constraints=tuple(constraints),
            indexes=tuple(
                altered(item, columns=many(item.columns), mentions=many(item.mentions)) for item in facts.indexes
            ),
            views=tuple(altered(item, columns=many(item.columns)) for item in facts.views),
        )
    )


def _renamed_word(text: str | None, old: str, new: str) -> str | None:
    """In a partition key, which begins with its strategy."""
    if text is None:
        return None
    strategy, _, key = text.partition(" ")
    written = (old, _quoted(old))
    renamed = _NAME.sub(lambda found: _quoted(new) if found[0] in written else found[0], key)
    return f"{strategy} {renamed}".strip()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _renamed_key(columns: Mapping[str, ColumnFacts], old: str, new: str) -> dict[str, ColumnFacts]:
    return {new if name == old else name: column for name, column in columns.items()}


HANDLERS: Mapping[str, Replay] = {"rename_stmt": rename}
