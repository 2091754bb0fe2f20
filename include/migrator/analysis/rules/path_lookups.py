"""What a function finds through the search_path of whoever calls it: names in its body that are not qualified and are
not pg_catalog's, and likewise in all that it calls.

The names of a body in SQL or PL/pgSQL are looked up when it runs. BEGIN ATOMIC and RETURN have found their own when the
function was made, and one with SET search_path brings its path along, to whatever it calls as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from migrator.analysis.effects import World
from migrator.analysis.effects.types import types
from migrator.analysis.effects.types.builtin_functions import AGGREGATES, STEADY, VOLATILE
from migrator.analysis.effects.types.types import BUILTIN
from migrator.analysis.effects.types.volatility import candidates
from migrator.analysis.rules.implicit_calls import NAMED, calls
from migrator.analysis.rules.online.expressions import statement_of, type_of
from migrator.analysis.rules.servers_names import CONFIGURATIONS, CONFIGURED, OPERATORS
from migrator.facts.constants import constant_text, sequences_of
from migrator.facts.facts import FunctionFacts
from migrator.facts.names import SEQUENCE_FUNCTIONS
from migrator.frozen import frozen
from migrator.parsing.nodes import Node, enum, find, name_of, relations, strings
from migrator.parsing.routines import body_of, contents_of
from migrator.parsing.routines.declared import declared, table_of
from migrator.parsing.statements import parse

TEXTS = ("it runs a text that it puts together",)
SERVERS = "pg_catalog"
TEMPORARY = "pg_temp"


@frozen
class Lookups:
    names: tuple[str, ...] = ()
    """What it finds that way, in words: "the table tenants", "short()"."""
    schemas: tuple[str, ...] = ()
    """Where all of that is, as far as it is known."""
    doubts: tuple[str, ...] = ()
    """What else it may find that way."""

    def __add__(self, other: Lookups) -> Lookups:
        return Lookups(
            tuple(dict.fromkeys(self.names + other.names)),
            tuple(dict.fromkeys(self.schemas + other.schemas)),
            tuple(dict.fromkeys(self.doubts + other.doubts)),
        )

    def doubted(self, why: str) -> Lookups:
        return Lookups((), self.schemas, self.doubts or (why,))


NOTHING = Lookups()
SEVERAL = "there are several functions of that name"
BESIDE = "pg_catalog has a function of that name, too"


def about_path(element: Node) -> bool:
    """Whether a DefElem of CREATE or ALTER FUNCTION is the search_path; RESET ALL is, and gives no name."""
    if element.defname != "set":
        return False
    setting = element.arg.variable_set_stmt
    return str(setting.name).lower() == "search_path" or enum(setting, "kind") == "VAR_RESET_ALL"


def gives_path(element: Node) -> bool:
    """Whether a DefElem of CREATE FUNCTION is a path that the server keeps: of SET ... TO DEFAULT it keeps none."""
    return about_path(element) and enum(element.arg.variable_set_stmt, "kind") in ("VAR_SET_VALUE", "VAR_SET_CURRENT")


@dataclass
class PathLookups:
    """Of the functions that one statement calls."""

    world: World
    _known: dict[FunctionFacts, Lookups] = field(default_factory=dict)

    def of_call(self, call: Node) -> tuple[FunctionFacts, Lookups] | None:
        """The function that a call means, if that finds anything."""
        functions, sure = _own(call, self.world)
        found = self.of_any(functions)
        return found if found is None or sure else (found[0], found[1].doubted(BESIDE))

    def of_any(self, functions: Iterable[FunctionFacts]) -> tuple[FunctionFacts, Lookups] | None:
        """One of them that finds anything. It may be any of them that is meant, so to be sure all must."""
        found = [(one, self.of(one)) for one in functions]
        telling = [(function, one) for function, one in found if one.names or one.doubts]
        if not telling or all(one.names for _, one in found):
            return telling[0] if telling else None
        function, one = telling[0]
        return function, one.doubted(SEVERAL)

    def called(self, node: Node, table: str = "") -> Iterator[tuple[str, FunctionFacts, Lookups]]:
        """The functions that an expression calls and that find anything: name without schema, function, what.

        :param table: whose rows it is about.
        """
        for call in calls(node, self.world, table):
            found = self.of_call(call.node)
            if found is not None:
                function, lookups = found
                name = strings(call.node.funcname)[-1]
                yield name, function, lookups if call.sure else lookups.doubted(f"it may be {name}() that is called")

    def of(self, function: FunctionFacts) -> Lookups:
        """Nothing for a function in a language that nobody here reads."""
        if function not in self._known:
            self._known[function] = NOTHING  # while it is looked at: one that calls itself finds no more than it does
            self._known[function] = self._within(function)
        return self._known[function]

    def _within(self, function: FunctionFacts) -> Lookups:
        parsed = parse(function.body, file="catalog").statements if function.schema != SERVERS else ()
        if len(parsed) != 1 or any(gives_path(item.def_elem) for item in parsed[0].tree.options):
            return NOTHING
        body = body_of(parsed[0])
        contents = contents_of(body) if body is not None else None
        if body is None or contents is None or contents.faults:
            return NOTHING
        found = Lookups(doubts=TEXTS if contents.drafts else ())
        texts = tuple(declared(body.text)) if body.language == "plpgsql" else ()
        for text in texts:
            for one in _declared(text, self.world):
                found += one
        nodes = [item.node for piece in contents.pieces for item in parse(piece.sql, file="").statements]
        known = _known_types(function, texts, nodes)
        for node in nodes:
            for one in () if body.standard else _names(node, self.world, known):
                found += one
            found += self._called(node)
        return found

    def _called(self, node: Node) -> Lookups:
        found = NOTHING
        for name, callee, inner in self.called(node):
            names = tuple(f"{one} in {callee.schema}.{name}()" for one in inner.names)
            found += Lookups(names, inner.schemas, inner.doubts)
        return found


def _names(node: Node, world: World, known: frozenset[str]) -> Iterator[Lookups]:
    """Of one statement of a body, with the types that its values may have."""
    yield from _tables(node, world)
    yield from _functions(node, world, known)
    yield from _types(node, world)
    yield from _operators(node, world, known)
    yield from _relation_constants(node, world)
    yield from _sequences(node, world)
    yield from _collations(node, world)


def _known_types(function: FunctionFacts, declarations: Iterable[str], nodes: Iterable[Node]) -> frozenset[str]:
    """Without their schemas."""
    columns = filter(None, map(type_of, declarations))
    named = [item for node in (*nodes, *columns) for item in find(node, "TypeName")]
    return frozenset(_bare(one) for one in (*function.arguments, *(str(types.from_node(item)) for item in named)))


def _bare(written: str) -> str:
    return written.rpartition(".")[2].replace('"', "")


def _is_meant(arguments: Iterable[str], node: Node, known: frozenset[str]) -> bool:
    """Whether what takes these, and has a name that pg_catalog has as well, may be meant: any value may be of a plain
    type of the server's, and what a table has is not known."""
    own = {_bare(one) for one in arguments} - BUILTIN
    return not own or not own.isdisjoint(known) or any(True for _ in relations(node))


def _declared(text: str, world: World) -> Iterator[Lookups]:
    """Of the type of a variable."""
    table = table_of(text)
    if table is not None:
        node = statement_of(f"TABLE {table}")
        yield from _tables(node, world) if node is not None else ()
        return
    column = type_of(text)
    yield from _types(column, world) if column is not None else ()


def _own(call: Node, world: World) -> tuple[tuple[FunctionFacts, ...], bool]:
    """Somebody's functions that a call may mean, and whether it means none of pg_catalog. What takes the same as one
    of pg_catalog is hidden by that."""
    parts = strings(call.funcname)
    every = candidates(call, parts, world)
    servers = [one.arguments for one in every if one.schema == SERVERS]
    mine = tuple(one for one in every if one.schema != SERVERS and (len(parts) > 1 or one.arguments not in servers))
    return mine, not servers and (len(parts) > 1 or _is_asked(world) or not is_servers(parts[0]))


def _is_asked(world: World) -> bool:
    """Whether the catalog has told which functions there are."""
    return world.facts is not None and world.facts.complete


def is_servers(name: str) -> bool:
    return name in STEADY or name in VOLATILE or name in AGGREGATES or name.startswith("pg_")


def _tables(node: Node, world: World) -> Iterator[Lookups]:
    for item in relations(node):
        schema = world.name(item).rpartition(".")[0]
        if not item.schemaname and schema not in (TEMPORARY, SERVERS):
            yield Lookups((f"the table {item.relname}",), (schema,))


def _functions(node: Node, world: World, known: frozenset[str]) -> Iterator[Lookups]:
    for call in find(node, "FuncCall"):
        parts = strings(call.funcname)
        name = parts[-1]
        if name in CONFIGURED and len(call.args) > 1:
            yield from _configuration(call.args[0], world)
        if len(parts) > 1:
            continue
        mine, sure = _own(call, world)
        meant = [one for one in mine if sure or _is_meant(one.arguments, node, known)]
        if meant:
            found = Lookups((f"{name}()",), (meant[0].schema,))
            yield found if sure else found.doubted(f"{name}() may be {meant[0].schema}.{name}()")
        elif not _is_asked(world) and not is_servers(name):
            yield Lookups(doubts=(f"{name}() is not known without a connection",))


def _configuration(argument: Node, world: World) -> Iterator[Lookups]:
    name = constant_text(argument)
    typed = name_of(argument) == "type_cast" and strings(argument.type_cast.type_name.names)[-1:] != ("regconfig",)
    if name and not typed and "." not in name and name.lower() not in CONFIGURATIONS:
        yield Lookups((f"the text search configuration {name}",), (world.schema,))


def _types(node: Node, world: World) -> Iterator[Lookups]:
    for item in find(node, "TypeName"):
        parts = strings(item.names)
        schema = _schema_of_type(parts[0], world) if len(parts) == 1 else ""
        if schema not in ("", SERVERS, TEMPORARY):
            yield Lookups((f"the type {parts[0]}",), (schema,))


def _schema_of_type(name: str, world: World) -> str:
    """ "" for what is not known, and for the server's own."""
    known = world.type((name,))
    if known is not None:
        return known.name.rpartition(".")[0]
    if world.domain((name,)) is not None:
        return world.schema
    table = world.dotted((name,))
    return table.rpartition(".")[0] if name not in BUILTIN and world.relation(table) is not None else ""


def _relation_constants(node: Node, world: World) -> Iterator[Lookups]:
    """'users'::regclass, which a body looks up when it runs."""
    for item in find(node, "TypeCast"):
        name = constant_text(item.arg) if strings(item.type_name.names)[-1:] == ("regclass",) else None
        if name and "." not in name and not name.startswith("pg_"):
            yield Lookups((f"the table {name}",), (world.schema,))


def _sequences(node: Node, world: World) -> Iterator[Lookups]:
    """nextval('numbers'), whose text is made a regclass when it runs."""
    for call in find(node, "FuncCall"):
        if strings(call.funcname)[-1] in SEQUENCE_FUNCTIONS and len(call.args) and name_of(call.args[0]) == "a_const":
            for schema, name in sequences_of(call):
                if schema is None:
                    yield Lookups((f"the sequence {name}",), (world.dotted((name,)).rpartition(".")[0],))


def _collations(node: Node, world: World) -> Iterator[Lookups]:
    for item in find(node, "CollateClause"):
        parts = strings(item.collname)
        if len(parts) == 1 and world.has_collation(parts[0]):
            yield Lookups((f"the collation {parts[0]}",), (world.schema,))


def _operators(node: Node, world: World, known: frozenset[str]) -> Iterator[Lookups]:
    """Of pg_catalog's names those that an extension, or somebody, has given to operators of other types."""
    for item in find(node, "A_Expr"):
        parts = strings(item.name)
        if enum(item, "kind") not in NAMED or len(parts) > 1:
            continue
        name, own = parts[0], world.operators(parts[0])
        if name not in OPERATORS:
            yield Lookups((f"the operator {name}",), (own[0].schema if own else world.schema,))
        for one in own if name in OPERATORS else ():
            if len(one.operands) == 1 + bool(name_of(item.lexpr)) and _is_meant(one.operands, node, known):
                yield Lookups((), (one.schema,), (f"the operator {name} may be that of {one.schema}",))
