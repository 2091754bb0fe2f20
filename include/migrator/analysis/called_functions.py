"""Functions that a statement runs, or has run by whoever uses what it makes, and of which nobody knows that they are
harmless: in DEFAULT, CHECK, index and generated expressions, behind casts, operators and aggregates.

That a function says it is STABLE proves nothing: it may call one that is not (PostgreSQL's documentation, "Function
Volatility Categories"). So a body is looked into, with all that it calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from migrator.analysis import unwritten_calls
from migrator.analysis.effects.types.builtin_functions import AGGREGATES, STEADY, VOLATILE
from migrator.analysis.effects.world import World
from migrator.analysis.own_relations import OwnRelations
from migrator.analysis.walk.subject import Subject
from migrator.facts.facts import FunctionFacts
from migrator.parsing.nodes import Node, enum, find, name_of, strings
from migrator.parsing.routines import Body, body_of, contents_of
from migrator.parsing.running_functions import READ_NAMED, RUN_TEXTS
from migrator.parsing.statements import parse

BUILT_IN = STEADY | VOLATILE | AGGREGATES
_WRITERS = """
lo_creat lo_create lo_from_bytea lo_import lo_put lo_truncate lo_truncate64 lo_unlink lowrite setval
"""
WRITERS = frozenset(_WRITERS.split()) | RUN_TEXTS | READ_NAMED
"""Built in, and changes data or runs a text as SQL. What makes json runs a cast, if there is one."""
HARMLESS = frozenset(["gen_random_bytes", "gen_salt", "uuid_generate_v1", "uuid_generate_v1mc", "uuid_generate_v4"])
"""Of extensions, volatile, and no more than numbers."""
CHANGES = ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt")
NOTHING = "of which nothing is known"
DEPTH = 8
_PARAMETERS = """
analyze canonical combinefunc deserialfunc finalfunc function input join mfinalfunc minvfunc msfunc output procedure
receive restrict send serialfunc sfunc subscript subtype_diff typmod_in typmod_out
"""
_DEFINES = frozenset(_PARAMETERS.split())
"""Parameters of CREATE AGGREGATE, OPERATOR and TYPE that name a function."""


@dataclass
class CalledFunctions:
    """Those of one migration."""

    own: OwnRelations
    bodies: Mapping[str, tuple[Body | None, ...]]
    """By bare name, every function that the migration makes. None: its code is not in the file."""
    aggregates: frozenset[str]
    """Made here, so their parts are judged where they are made."""
    _judged: dict[Body, str] = field(default_factory=dict)

    @classmethod
    def of(cls, subjects: Iterable[Subject], own: OwnRelations) -> CalledFunctions:
        bodies: dict[str, tuple[Body | None, ...]] = {}
        aggregates = set()
        for subject in subjects:
            name, tree = subject.statement.name, subject.statement.tree
            if name == "create_function_stmt":
                bare = strings(tree.funcname)[-1]
                bodies[bare] = (*bodies.get(bare, ()), body_of(subject.statement))
            elif name == "define_stmt" and enum(tree, "kind") == "OBJECT_AGGREGATE":
                aggregates.add(strings(tree.defnames)[-1])
        return cls(own, bodies, frozenset(aggregates))

    def doubts(self, subject: Subject) -> Iterator[str]:
        """What is to be said of them, one text each."""
        if subject.statement.name in ("create_function_stmt", "call_stmt", "do_stmt"):
            return  # it runs nothing by that, or what is inside is judged by itself
        told = dict.fromkeys(self._told(subject.statement.node, subject.world))
        yield from (f"line {subject.statement.line}: {one}" for one in told)

    def _told(self, node: Node, world: World, depth: int = 0) -> Iterator[str]:
        for parts in _named(node):
            why = self._why(parts, world, depth)
            if why:
                yield f"runs {'.'.join(parts)}(), {why}"
        for how, parts in unwritten_calls.functions(node, world):
            why = self._why(parts, world, depth)
            if why:
                yield f"runs {'.'.join(parts)}() {how}, {why}"
        for operator in unwritten_calls.nameless_operators(node, world):
            yield f"runs the operator {operator}, {NOTHING}"
        for how, text in unwritten_calls.texts(node, world) if depth < DEPTH else ():
            for statement in parse(f"SELECT {text}", file="catalog").statements:
                for one in self._told(statement.node, world, depth + 1):
                    yield f"{one}, {how}"

    def _why(self, parts: tuple[str, ...], world: World, depth: int) -> str:
        """Empty: it is harmless."""
        bare, schema = parts[-1], parts[-2] if len(parts) > 1 else ""
        if schema == "pg_catalog":
            return "which changes data or runs a text" if bare in WRITERS else ""
        known = world.facts.functions.get(bare, ()) if world.facts is not None else ()
        known = tuple(item for item in known if schema in ("", item.schema))
        written = [item for item in known if item.schema != "pg_catalog"]
        made = self.bodies.get(bare, ())
        reasons = [self._of(body, world, depth) for body in made]
        reasons += [self._of_known(item, world, depth) for item in written]
        if any(reasons):
            return next(filter(None, reasons))
        if bare in WRITERS and not schema:
            return "which changes data or runs a text"
        built_in = not schema and (bare in BUILT_IN or len(written) < len(known))
        return "" if reasons or built_in or bare in HARMLESS or bare in self.aggregates else NOTHING

    def _of_known(self, facts: FunctionFacts, world: World, depth: int) -> str:
        """Of a function that exists. Code in C is a superuser's, and does as it says of itself."""
        if facts.kind == "a":
            return next(filter(None, (self._why(part, world, depth + 1) for part in facts.parts)), "")
        if facts.body:
            parsed = parse(facts.body, file="catalog")
            return self._of(body_of(parsed.statements[0]) if len(parsed.statements) == 1 else None, world, depth)
        return "" if facts.language in ("c", "internal") and facts.volatility != "v" else NOTHING

    def _of(self, body: Body | None, world: World, depth: int) -> str:
        if body is None or depth >= DEPTH:
            return NOTHING
        if body not in self._judged:
            self._judged[body] = ""  # while it is looked at: one that calls itself does no more than it does
            self._judged[body] = self._within(body, world, depth)
        return self._judged[body]

    def _within(self, body: Body, world: World, depth: int) -> str:
        contents = contents_of(body)
        if contents.gaps or contents.faults:
            return "of which not all is known"
        for piece in contents.pieces:
            parsed = parse(piece.sql, file="")
            if parsed.problems:
                return "of which not all is known"
            for statement in parsed.statements:
                for change in find(statement.node, *CHANGES):
                    table = world.name(change.relation)
                    if not self.own.has(table, world):
                        return f"which changes rows of {table}"
                if statement.name not in ("select_stmt", "insert_stmt", "update_stmt", "delete_stmt", "merge_stmt"):
                    return f"which runs {statement.kind}"
                for one in self._told(statement.node, world, depth + 1):
                    return f"which {one}"
        return ""


def _named(node: Node) -> Iterator[tuple[str, ...]]:
    """Dotted names of functions that a tree calls or lets others call; those of triggers run when their events come."""
    yield from filter(None, _names(node))


def _names(node: Node) -> Iterator[tuple[str, ...]]:
    for call in find(node, "FuncCall"):
        yield strings(call.funcname)
    for cast in find(node, "CreateCastStmt"):
        yield strings(cast.func.objname)
    for item in find(node, "CreateOpClassItem"):
        if item.itemtype == 2:  # OPCLASS_ITEM_FUNCTION
            yield strings(item.name.objname)
    for definition in find(node, "DefineStmt", "CreateRangeStmt", "AlterOperatorStmt", "AlterTypeStmt"):
        for item in find(definition, "DefElem"):
            if item.defname in _DEFINES and name_of(item.arg) == "type_name":
                yield strings(item.arg.type_name.names)
