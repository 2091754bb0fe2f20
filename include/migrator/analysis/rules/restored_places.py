"""What a restore computes anew: expressions of indexes, constraints, generated columns and materialized views."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migrator.analysis.effects import World
from migrator.analysis.rules.online.expressions import constraint_of
from migrator.analysis.rules.path_lookups import TEMPORARY
from migrator.analysis.walk.subject import Subject
from migrator.facts.facts import ConstraintFacts, DomainFacts
from migrator.frozen import frozen
from migrator.parsing.nodes import Node, commands, enum, name_of, strings

LATER = "once it is validated, "


@frozen
class Place:
    """An expression that a restore computes anew."""

    what: str
    node: Node
    part: int | None = None
    later: str = ""
    """When it does so, where that is not at once."""


def places(subject: Subject) -> Iterator[Place]:
    tree, name, world = subject.statement.tree, subject.statement.name, subject.world
    if name in ("index_stmt", "create_stmt", "alter_table_stmt") and _is_temporary(tree.relation, world):
        return
    if name == "index_stmt":
        yield Place("the index", subject.statement.node)
    elif name == "create_table_as_stmt" and enum(tree, "objtype") == "OBJECT_MATVIEW":
        yield Place("the materialized view", tree.query, later="once it is refreshed, " if tree.into.skip_data else "")
    elif name == "create_stmt":
        for number, item in enumerate(tree.table_elts):
            yield from _of_element(item, number, world)
        if tree.HasField("partspec"):
            yield Place("the partition key", tree.partspec)
    elif name == "alter_table_stmt":
        for number, command in enumerate(commands(tree)):
            yield from _of_command(command, number, world.name(tree.relation), world)
    elif name == "create_domain_stmt":
        for item in tree.constraints:
            yield from _of_constraint(item.constraint, "the CHECK of the domain")
    elif name == "alter_domain_stmt" and tree.subtype == "C":
        yield from _of_constraint(getattr(tree, "def").constraint, "the CHECK of the domain")
    elif name == "alter_domain_stmt" and tree.subtype == "V":
        domain = world.domain(strings(tree.type_name))
        known = (one for one in domain.constraints if one.name == tree.name) if domain is not None else ()
        yield from _known(known, "the CHECK of the domain")


def _is_temporary(relation: Node, world: World) -> bool:
    """No backup has it."""
    return relation.relpersistence == "t" or world.name(relation).startswith(f"{TEMPORARY}.")


def _of_command(command: Node, number: int, table: str, world: World) -> Iterator[Place]:
    subtype = enum(command, "subtype")
    if subtype in ("AT_AddColumn", "AT_AddConstraint", "AT_AlterColumnType"):
        added = subtype == "AT_AddConstraint"
        yield from _of_element(getattr(command, "def"), number, world, added=added, name=command.name)
    elif subtype == "AT_SetExpression":
        column = world.column(table, command.name)
        if column is None or column.generated != "v":
            yield Place(f"the generated column {command.name}", getattr(command, "def"), number)
    elif subtype == "AT_ValidateConstraint":
        known = world.constraint(table, command.name)
        yield from _known((known,) if known is not None else (), "the CHECK", number)


def _of_element(item: Node, number: int, world: World, *, added: bool = False, name: str = "") -> Iterator[Place]:
    """A column or a constraint. NOT VALID means nothing for a new table.

    :param name: of a column that has none there, since ALTER COLUMN TYPE names it.
    """
    if name_of(item) == "constraint":
        yield from _of_constraint(item.constraint, "the CHECK", number, added=added)
    elif name_of(item) == "column_def":
        column = item.column_def
        name = column.colname or name
        unenforced = any(enum(one.constraint, "contype") == "CONSTR_ATTR_NOT_ENFORCED" for one in column.constraints)
        for one in column.constraints if not unenforced else ():
            yield from _of_constraint(one.constraint, f"the CHECK of {name}", number, name)
        for domain, facts in _domains(strings(column.type_name.names), world):
            yield from _known(facts.constraints, f"the domain {domain} of {name}", number, valid=True)


def _domains(parts: tuple[str, ...], world: World) -> Iterator[tuple[str, DomainFacts]]:
    """What a type is, and has inside, by name; not those that this migration makes, since it is told there."""
    stack, seen = [parts], set()
    while stack:
        parts = stack.pop()
        known, domain = world.type(parts), world.domain(parts)
        if domain is not None and not world.is_new_type(parts):
            yield parts[-1], domain
        seen.add(parts)
        inside = (tuple(one.partition(".")[::2]) for one in (known.parts if known is not None else ()))
        stack += [one for one in inside if one not in seen]


def _of_constraint(
    constraint: Node, what: str, number: int | None = None, column: str = "", *, added: bool = True
) -> Iterator[Place]:
    kind = enum(constraint, "contype")
    if kind == "CONSTR_CHECK" and constraint.is_enforced:
        later = LATER if added and constraint.skip_validation else ""
        yield Place(what, constraint.raw_expr, number, later)
    elif kind == "CONSTR_GENERATED" and constraint.generated_kind != "v":
        yield Place(f"the generated column {column}", constraint.raw_expr, number)
    elif kind == "CONSTR_EXCLUSION":
        yield Place("the index of the constraint", constraint, number)


def _known(
    constraints: Iterable[ConstraintFacts], what: str, number: int | None = None, *, valid: bool = False
) -> Iterator[Place]:
    for item in constraints:
        node = constraint_of(item.definition, item.name) if item.kind == "c" and item.enforced else None
        if node is not None and (item.validated or not valid):
            yield Place(what, node, number)
