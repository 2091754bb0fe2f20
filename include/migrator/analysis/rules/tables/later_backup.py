"""What a restore computes anew through a function that finds others by the search_path of whoever calls it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migrator.analysis.effects import World
from migrator.analysis.effects.names import definitions, routines
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.online.expressions import constraint_of, type_of
from migrator.analysis.rules.path_lookups import NOTHING, SERVERS, TEMPORARY, Lookups, PathLookups, about_path
from migrator.analysis.walk.subject import Subject
from migrator.facts.facts import ConstraintFacts, DomainFacts, FunctionFacts, altered
from migrator.frozen import frozen
from migrator.parsing.build import build, script
from migrator.parsing.nodes import Node, commands, copy_of, enum, name_of, strings
from migrator.plan import Severity

LATER = "once it is validated, "
SHOWN = 3


@frozen
class Place:
    """An expression that a restore computes anew."""

    what: str
    node: Node
    part: int | None = None
    later: str = ""
    """When it does so, where that is not at once."""


@frozen
class Call:
    place: Place
    name: str
    """Of the function, without its schema."""
    function: FunctionFacts
    lookups: Lookups


def check(subject: Subject) -> Iterator[Hit]:
    if subject.statement.name == "create_function_stmt":
        yield from _replaced(subject)
    elif subject.statement.name == "alter_function_stmt":
        yield from _altered(subject)
    else:
        yield from _dependence(subject)


def _dependence(subject: Subject) -> Iterator[Hit]:
    calls = tuple(_calls(subject))
    instead = _before(subject, [one for one in calls if one.lookups.names] or calls)
    for call in calls:
        what, told = f"{call.place.what} calls {call.function.schema}.{call.name}()", call.lookups.names
        if told:
            yield Hit(
                f"{what}, which finds {_listed(told)} through search_path: {call.place.later}a backup"
                " that is made after this cannot be restored",
                severity=Severity.INFO if call.place.later == LATER else None,
                alternative_sql=instead,
                part=call.place.part,
            )
        else:
            yield Hit(
                f"{what}, which may find something through search_path: {_listed(call.lookups.doubts)}. if it does,"
                f" {call.place.later}a backup that is made after this cannot be restored",
                severity=Severity.INFO,
                alternative_sql=instead,
                part=call.place.part,
            )


def _calls(subject: Subject) -> Iterator[Call]:
    """Each function once, where a restore calls it at once before where it does so later."""
    lookups, seen, tree = PathLookups(subject.world), set(), subject.statement.tree
    table = subject.world.name(tree.relation) if subject.statement.name in ("index_stmt", "alter_table_stmt") else ""
    for place in sorted(_places(subject), key=lambda one: one.later):
        below = _below(place, lookups) if subject.statement.name == "create_table_as_stmt" else ()
        for call in (*(Call(place, *one) for one in lookups.called(place.node, table)), *below):
            if call.function not in seen:
                seen.add(call.function)
                yield call


def _below(place: Place, lookups: PathLookups) -> Iterator[Call]:
    """What the views call that a materialized view reads."""
    world = lookups.world
    stack, seen = [*definitions.read_relations(place.node, world)], set()
    while stack:
        view = world.relation(name := stack.pop())
        if view is None or view.kind != "v" or name in seen:
            continue
        seen.add(name)
        stack += view.reads
        for schema, called in view.calls:
            found = lookups.of_any(world.functions((schema, called)))
            if found is not None:
                yield Call(Place(f"the view {name} below {place.what}", place.node, later=place.later), called, *found)


def _places(subject: Subject) -> Iterator[Place]:
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


def _replaced(subject: Subject) -> Iterator[Hit]:
    """CREATE OR REPLACE of what is used by something."""
    tree, world = subject.statement.tree, subject.world
    old = routines.same(tree, world) if tree.replace else None
    if old is None or not old.restored:
        return
    made = routines.made(tree, world)
    found = PathLookups(world).of(made)
    better = copy_of(subject.statement.node)
    _with_path_only(better.create_function_stmt.options, _set_path(found, world))
    yield from _changed(f"{made.schema}.{strings(tree.funcname)[-1]}()", old.restored, found, script((better,)))


def _altered(subject: Subject) -> Iterator[Hit]:
    """RESET of the path, of what is used by something."""
    tree, world = subject.statement.tree, subject.world
    if not any(about_path(item.def_elem) for item in tree.actions):
        return
    for function in routines.named(tree.func, world):
        made = routines.changed(function, tree.actions)
        found = PathLookups(world).of(made) if function.restored else NOTHING
        better = copy_of(subject.statement.node)
        _with_path_only(better.alter_function_stmt.actions, _set_path(found, world))
        name = f"{function.schema}.{strings(tree.func.objname)[-1]}()"
        yield from _changed(name, function.restored, found, script((better,)))


def _with_path_only(options: Node, path: tuple[Node, ...]) -> None:
    kept = [item for item in options if not about_path(item.def_elem)]
    del options[:]
    options.extend((*kept, *path))


def _changed(name: str, users: tuple[str, ...], found: Lookups, instead: str) -> Iterator[Hit]:
    if found.names:
        yield Hit(
            f"{name} finds {_listed(found.names)} through search_path, and is called by {_listed(users)}: a backup that"
            " is made after this cannot be restored",
            alternative_sql=instead,
        )
    elif found.doubts:
        yield Hit(
            f"{name} may find something through search_path ({_listed(found.doubts)}), and is called by"
            f" {_listed(users)}: if it does, a backup that is made after this cannot be restored",
            severity=Severity.INFO,
            alternative_sql=instead,
        )


def _before(subject: Subject, calls: Iterable[Call]) -> str:
    """The statement, after the functions have got paths of their own."""
    alters = [_with_path(call, subject.world) for call in calls]
    statement = subject.statement
    return script((*alters, statement.node)) if statement.transactional else script(alters, (statement.node,))


def _with_path(call: Call, world: World) -> Node:
    columns = [column for column in map(type_of, call.function.arguments) if column is not None]
    template, arguments = "ALTER FUNCTION sch.fun(arg) SET search_path = pg_temp", [one.type_name for one in columns]
    node = build(template, sch=call.function.schema, fun=call.name, arg=arguments)
    stmt = node.alter_function_stmt
    del stmt.func.objfuncargs[:]  # the same again, with names and modes
    stmt.func.args_unspecified = len(columns) < len(call.function.arguments)
    del stmt.actions[:]
    stmt.actions.extend(_set_path(call.lookups, world))
    return node


def _set_path(found: Lookups, world: World) -> tuple[Node, ...]:
    """SET search_path = what it needs, and the temporary tables of whoever calls it last."""
    known = [name for name in found.schemas if name not in (SERVERS, TEMPORARY)]
    schemas = known + [name for name in _path(world) if name not in known and (found.doubts or not known)]
    item = copy_of(build("ALTER FUNCTION f SET search_path = pg_temp").alter_function_stmt.actions[0])
    setting = item.def_elem.arg.variable_set_stmt
    for place, name in enumerate(schemas):
        setting.args.insert(place, copy_of(setting.args[-1]))
        setting.args[place].a_const.sval.sval = name
    return (item,)


def _path(world: World) -> tuple[str, ...]:
    return world.search_path or (world.schema,)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


RULE = Rule(
    id="breaks-later-backups",
    severity=Severity.WARNING,
    condition="an index, a CHECK of a table or a domain, a stored generated column, a partition key or a materialized"
    " view calls a function in SQL or PL/pgSQL that has no SET search_path and finds tables, types or other functions"
    " by names without a schema, itself or in what it calls; also a new body, or RESET search_path, for a function that"
    " such an object calls",
    effect="pg_dump and pg_restore empty the search_path, so each later backup fails there when it is restored: of a"
    " CHECK, a domain, a generated column or a partition key the table comes back without its rows, an index or the"
    " rows of a materialized view do not come back. From 17 on CREATE INDEX and REFRESH fail by themselves, too",
    alternative="before, ALTER FUNCTION ... SET search_path = <the schemas that it needs>, pg_temp, after which a SQL"
    " function is not inlined any more; or write the names in its body with their schemas. A function that reads rows"
    " of other tables stays a risk: a restore may fill those later",
    source=DOCS + "sql-createfunction.html",
    statement=check,
    on=(
        "index_stmt",
        "alter_table_stmt",
        "create_stmt",
        "create_table_as_stmt",
        "create_domain_stmt",
        "alter_domain_stmt",
        "create_function_stmt",
        "alter_function_stmt",
    ),
    subtypes=("AT_AddColumn", "AT_AddConstraint", "AT_AlterColumnType", "AT_SetExpression", "AT_ValidateConstraint"),
)
