"""Functions that a statement runs, or has run later, without a call of them in it: operators, fields of rows, casts,
domains, the views that it reads, and what a new table takes over from an older one.

With them texts of the catalog that have calls in them.
"""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.effects.world import World
from migrator.analysis.rules import implicit_calls
from migrator.analysis.rules.servers_names import OPERATORS
from migrator.facts.facts import DomainFacts, RelationFacts
from migrator.parsing.nodes import Node, content, enum, find, name_of, relations, strings
from migrator.parsing.running_functions import MAKE_JSON

READING = frozenset(
    [
        "select_stmt",
        "insert_stmt",
        "update_stmt",
        "delete_stmt",
        "merge_stmt",
        "copy_stmt",
        "explain_stmt",
        "create_table_as_stmt",
        "view_stmt",
        "declare_cursor_stmt",
        "prepare_stmt",
    ]
)
"""Statements that read the relations that they name, or have them read."""
_CONSTRAINTS, _DEFAULTS, _GENERATED = 1 << 2, 1 << 3, 1 << 4
"""LIKE ... INCLUDING (TableLikeOption in src/include/nodes/parsenodes.h)."""

Found = tuple[str, tuple[str, ...]]
"""How, in words, and the function's name."""


def functions(node: Node, world: World) -> Iterator[Found]:
    yield from _operators(node, world)
    for call in implicit_calls.of_rows(node, world):
        yield "by the field of a row", strings(call.node.funcname)
    yield from _casts(node, world)
    if name_of(node) in READING:
        yield from _views(node, world)
    if name_of(node) == "create_stmt" and node.create_stmt.HasField("partbound"):
        for facts in _parents(node.create_stmt, world):
            for trigger in facts.triggers:
                yield f"by the trigger {trigger.name} of {facts.name}", tuple(trigger.function.split(".", 1))


def texts(node: Node, world: World) -> Iterator[tuple[str, str]]:
    """How, in words, and an expression that is computed."""
    for used in find(node, "TypeName"):
        domain, name = world.domain(strings(used.names)) if used.names else None, ".".join(strings(used.names))
        passed: set[str] = set()
        while domain is not None and name not in passed:
            passed.add(name)
            yield from _of_domain(domain, name)
            name = domain.type
            domain = world.domain(tuple(name.replace('"', "").split(".")))
    if name_of(node) == "create_stmt":
        for facts in _parents(node.create_stmt, world):
            yield from _of_table(facts, _CONSTRAINTS | _DEFAULTS | _GENERATED)
        for item in node.create_stmt.table_elts:
            if name_of(item) == "table_like_clause":
                model = world.relation(world.name(content(item).relation))
                if model is not None:
                    yield from _of_table(model, content(item).options)


def nameless_operators(node: Node, world: World) -> Iterator[str]:
    """Operators that are neither the server's nor known."""
    for item in find(node, "A_Expr"):
        parts = strings(item.name)
        if _is_the_servers(item) or world.operators(parts[-1]):
            continue
        if len(parts) > 1 or world.facts is None:
            yield ".".join(parts)


def _is_the_servers(item: Node) -> bool:
    parts = strings(item.name)
    if enum(item, "kind") not in implicit_calls.NAMED:
        return len(parts) < 2 or parts[0] == "pg_catalog"
    return parts[0] == "pg_catalog" if len(parts) > 1 else parts[0] in OPERATORS


def _operators(node: Node, world: World) -> Iterator[Found]:
    for item in find(node, "A_Expr"):
        if not _is_the_servers(item):
            parts = strings(item.name)
            for one in world.operators(parts[-1]):
                if len(parts) < 2 or parts[-2] == one.schema:
                    yield f"by the operator {'.'.join(parts)}", one.function


def _casts(node: Node, world: World) -> Iterator[Found]:
    """Of types that are named, or that columns have which the statement may read or write."""
    casts = world.facts.casts if world.facts is not None else ()
    if not casts:
        return
    named = {strings(item.names)[-1] for item in find(node, "TypeName") if item.names}
    for item in relations(node) if name_of(node) in READING else ():
        facts = world.relation(world.name(item))
        named |= {_bare(column.type) for column in (facts.columns.values() if facts is not None else ())}
    json = any(strings(call.funcname)[-1] in MAKE_JSON for call in find(node, "FuncCall"))
    targets = {strings(item.type_name.names)[-1] for item in find(node, "TypeCast")}
    for cast in casts:
        own = {_bare(name) for name in cast.own}
        if own & named or (not own and cast.target in targets) or (json and cast.target in ("json", "jsonb")):
            yield f"by a cast from {cast.source} to {cast.target}", cast.function


def _bare(type_name: str) -> str:
    return type_name.rpartition(".")[2].strip('"').removesuffix("[]")


def _views(node: Node, world: World) -> Iterator[Found]:
    for item in relations(node):
        name = world.name(item)
        stack, passed = [name], {name}
        while stack:
            facts = world.relation(stack.pop())
            if facts is None or facts.kind != "v" or world.is_certainly_new(facts.name):
                continue  # one of its own was judged when it was made
            for function in facts.calls:
                yield f"by the view {facts.name}", function
            stack += [read for read in facts.reads if read not in passed]
            passed.update(facts.reads)


def _parents(stmt: Node, world: World) -> Iterator[RelationFacts]:
    for item in stmt.inh_relations:
        facts = world.relation(world.name(item.range_var))
        if facts is not None and not world.is_certainly_new(facts.name):
            yield facts


def _of_domain(domain: DomainFacts, name: str) -> Iterator[tuple[str, str]]:
    if domain.default:
        yield f"by the default of domain {name}", domain.default
    for constraint in domain.constraints:
        if constraint.kind == "c" and constraint.definition:
            yield f"by the CHECK of domain {name}", _checked(constraint.definition)


def _of_table(facts: RelationFacts, options: int) -> Iterator[tuple[str, str]]:
    for name, column in facts.columns.items():
        wanted = _GENERATED if column.generated else _DEFAULTS
        if column.default and options & wanted:
            yield f"by the default of {facts.name}.{name}", column.default
    for item in facts.constraints:
        if item.kind == "c" and item.definition and options & _CONSTRAINTS:
            yield f"by the CHECK {item.name} of {facts.name}", _checked(item.definition)


def _checked(definition: str) -> str:
    """The expression of "CHECK (...) NOT VALID"."""
    return definition.removeprefix("CHECK ").removesuffix(" NOT VALID").removesuffix(" NO INHERIT")
