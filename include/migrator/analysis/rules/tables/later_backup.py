"""What a restore computes anew through a function that finds others by the search_path of whoever calls it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migrator.analysis.effects import World
from migrator.analysis.effects.names import definitions, routines
from migrator.analysis.effects.replay.replay import world_after
from migrator.analysis.effects.types.volatility import candidates
from migrator.analysis.rules.implicit_calls import callers, calls
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.online.expressions import type_of
from migrator.analysis.rules.path_lookups import SERVERS, TEMPORARY, Lookups, PathLookups, about_path
from migrator.analysis.rules.restored_places import LATER, Place, places
from migrator.analysis.walk.subject import Subject
from migrator.facts.facts import FunctionFacts
from migrator.frozen import frozen
from migrator.parsing.build import build, script
from migrator.parsing.nodes import Node, copy_of, strings
from migrator.plan import Severity

SHOWN = 3


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
    for place in sorted(places(subject), key=lambda one: one.later):
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


def _replaced(subject: Subject) -> Iterator[Hit]:
    """CREATE OR REPLACE of what is used by something."""
    tree, world = subject.statement.tree, subject.world
    old = routines.same(tree, world) if tree.replace else None
    if old is None:
        return
    made = routines.made(tree, world)
    found = PathLookups(world).of(made)
    better = copy_of(subject.statement.node)
    _with_path_only(better.create_function_stmt.options, _set_path(found, world))
    yield from _used(subject, strings(tree.funcname)[-1], old, found, script((better,)))


def _altered(subject: Subject) -> Iterator[Hit]:
    """RESET of the path, of what is used by something."""
    tree, world = subject.statement.tree, subject.world
    if not any(about_path(item.def_elem) for item in tree.actions):
        return
    for function in routines.named(tree.func, world):
        made = routines.changed(function, tree.actions)
        found = PathLookups(world).of(made)
        better = copy_of(subject.statement.node)
        _with_path_only(better.alter_function_stmt.actions, _set_path(found, world))
        yield from _used(subject, strings(tree.func.objname)[-1], function, found, script((better,)))


def _used(subject: Subject, name: str, old: FunctionFacts, found: Lookups, instead: str) -> Iterator[Hit]:
    """:param found: what the function finds from now on."""
    if not found.names and not found.doubts:
        return
    users = (*old.restored, *_used_before(subject, name, old))
    if users:
        yield from _changed(f"{old.schema}.{name}()", users, found, instead)
    world = subject.world
    before, after = PathLookups(world), PathLookups(world_after(subject.statement.node, world))
    for above, caller in callers(name, world):
        known, told = before.of(caller), after.of(caller)
        names = tuple(one for one in told.names if one not in known.names)
        doubts = tuple(one for one in told.doubts if one not in known.doubts)
        more = Lookups(names, told.schemas, doubts)
        yield from _changed(f"{caller.schema}.{above}()", caller.restored, more, instead)


def _used_before(subject: Subject, name: str, function: FunctionFacts) -> Iterator[str]:
    """What earlier statements of the file have made with calls of it."""
    wanted = function.schema, function.arguments
    for earlier in subject.earlier:
        for place in places(earlier) if name in earlier.statement.sql else ():
            nodes = [one.node for one in calls(place.node, earlier.world)]
            every = [node for node in nodes if strings(node.funcname)[-1] == name]
            meant = [one for node in every for one in candidates(node, strings(node.funcname), earlier.world)]
            if not place.later and any((one.schema, one.arguments) == wanted for one in meant):
                yield f"{place.what} in line {earlier.statement.line}"


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
    " view calls, itself or by an operator, a view or a type, a function in SQL or PL/pgSQL that has no SET search_path"
    " and finds tables, sequences, types, operators, collations or other functions by names without a schema, itself or"
    " in what it calls; also a new body, or RESET search_path, for a function that such an object calls, also through"
    " another one",
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
