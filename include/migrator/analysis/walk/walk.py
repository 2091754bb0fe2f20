"""Walks through a file as the server would run it: effects, transaction, and what DO blocks and functions run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from migrator.analysis.effects import NOTHING, World, effects_of
from migrator.analysis.effects.names import schema_elements
from migrator.analysis.effects.replay.replay import world_after
from migrator.analysis.effects.rows import along, rewriting
from migrator.analysis.effects.table import FAULTS
from migrator.analysis.effects.types.builtin_functions import AGGREGATES, STEADY, VOLATILE
from migrator.analysis.walk.guards import changed, softened
from migrator.analysis.walk.script import Called, Script
from migrator.analysis.walk.subject import Subject
from migrator.analysis.walk.transactions import Session, State, begins, hold
from migrator.facts.facts import altered
from migrator.parsing.nodes import Node, copy_of, find, name_of, strings
from migrator.parsing.routines import Body, Contents, Fault, Gap, Piece, body_of, contents_of, own_settings
from migrator.parsing.statements import ParsedFile, ParsedStatement, deparse, parse

logger = logging.getLogger(__name__)

MAX_DEPTH = 8
"""Functions that call functions; deeper ones are not followed."""
MAX_INSIDE = 500
"""Statements inside of one statement: triggers that fire triggers multiply."""
MAX_FOLLOWED = 5_000
"""Statements inside of all statements of a file."""
_CALLERS = frozenset(
    ["select_stmt", "insert_stmt", "update_stmt", "delete_stmt", "merge_stmt", "call_stmt", "create_table_as_stmt"]
)
_WRITERS = frozenset(["insert_stmt", "update_stmt", "delete_stmt", "merge_stmt", "truncate_stmt", "copy_stmt"])


def walk(parsed: ParsedFile, world: World, *, wanted: bool | None, rollback: bool = False) -> tuple[Script, World]:
    """The file's statements with their surroundings, and the world after it. `wanted`: the metadata's `transaction`."""
    wanted = parsed.transaction if parsed.transaction is not None else wanted
    alone = wanted is False or any(not item.transactional for item in parsed.statements)
    opened = not parsed.aside.wrapped and any(begins(item.node) for item in parsed.statements)
    session = Session(world, one=not alone and not opened)
    walker = _Walker(parsed, session)
    subjects: list[Subject] = []
    firsts, lasts = {first for first, _ in parsed.blocks}, {last for _, last in parsed.blocks}
    for item in parsed.statements:
        if item.index in firsts:
            session.open()
        state = session.before()
        walker.inside = 0
        subject, world = walker.visit(item, state, subjects[-1] if subjects else None, state.world)
        subjects.append(subject)
        session.after(item, subject.all_effects, world)
        if item.index in lasts:
            session.close()
    after = session.finish()
    script = Script(
        parsed,
        tuple(subjects),
        not alone,
        rollback,
        wanted,
        issues=tuple(session.issues),
        gaps=tuple(walker.gaps),
        faults=tuple(walker.faults),
        called=tuple(walker.called),
    )
    return script, after


@dataclass
class _Walker:
    parsed: ParsedFile
    session: Session
    gaps: list[Gap] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    called: list[Called] = field(default_factory=list)
    functions: dict[str, Body] = field(default_factory=dict)
    """By bare name: functions and procedures that the file makes."""
    triggers: dict[str, list[str]] = field(default_factory=dict)
    """By table: functions of triggers that the file makes."""
    running: list[Body] = field(default_factory=list)
    caught: tuple[str, ...] = ()
    """What the EXCEPTION blocks around the present statement catch."""
    maybe: bool = False
    """Whether the present statement is in a branch, or in something that is called in one."""
    unsure: frozenset[str] = frozenset()
    """Bare names of what statements that may not have run have changed."""
    inside: int = 0
    """Statements followed inside of the present statement of the file."""
    followed: int = 0
    """The same of the whole file."""

    def visit(
        self,
        statement: ParsedStatement,
        state: State,
        previous: Subject | None,
        world: World,
        piece: Piece | None = None,
        *,
        element: bool = False,
    ) -> tuple[Subject, World]:
        """:param element: it stands in a CREATE SCHEMA."""
        node = statement.node
        effects, failed = effects_of(_without_elements(node), world, inside=piece is not None), False
        if effects.fails is not None and (self.caught or self.maybe or self.unsure):
            effects, failed = softened(effects, self.caught, conditional=self.maybe, unsure=self.unsure)
        gaps, faults = len(self.gaps), len(self.faults)
        bodies = list(self._bodies(statement, world))
        subject = Subject(
            statement,
            effects,
            world,
            state.in_block or piece is not None or element,
            previous,
            state=state if world is state.world else altered(state, world=world),
            nested=piece is not None or element,
            conditional=bool(piece and piece.conditional),
            looped=bool(piece and piece.looped),
            step_kind=None if piece is not None or element else self.parsed.step_kind,
        )
        if statement.name in ("do_stmt", "call_stmt") and bodies:
            effects = NOTHING
        inner, world = self._inner(subject, bodies, state, world)
        if statement.name == "create_schema_stmt":
            inner = self._elements(subject, state)
        unread = [f"{gap.what}: {gap.why}" for gap in self.gaps[gaps:]]
        unread += [fault.message for fault in self.faults[faults:]]
        if not effects.known:
            self._gap(statement, "; ".join(effects.assumptions) or f"nothing is known about {statement.kind}")
        elif unread:
            effects = replace(effects, known=False, assumptions=(*effects.assumptions, *unread))
        self._define(statement)
        try:
            after = world if failed else world_after(node, world)
        except FAULTS as fault:
            logger.debug("what %s leaves behind is not known", statement.kind, exc_info=True)
            why = f"the analyser failed on it: {type(fault).__name__}: {fault}"
            self._gap(statement, why)
            effects, after = replace(effects, known=False, assumptions=(*effects.assumptions, why)), world
        if self.maybe and after is not world:
            self.unsure |= changed(world, after)
        if inner or effects is not subject.effects:
            subject = replace(subject, effects=effects, inner=inner)
        return subject, after

    def _bodies(self, statement: ParsedStatement, world: World) -> Iterator[Body]:
        """What runs when the statement runs."""
        if statement.name == "do_stmt":
            body = body_of(statement)
            if body is not None:
                yield body
        elif statement.name in _CALLERS:
            for name, arguments in _calls(statement.node):
                found = self.functions.get(name) or _from_catalog(name, arguments, world)
                if found is not None:
                    yield found
                elif statement.name != "call_stmt" and not _harmless(name, arguments, world):
                    self._gap(statement, f"it calls {name}(), and what that does is not known")
        if statement.name in _WRITERS:
            for kind, table in _changes(statement, world):
                for name in (*self.triggers.get(table, ()), *_fired(kind, table, world)):
                    found = self.functions.get(name) or _from_catalog(name, 0, world)
                    if found is not None:
                        yield found
                    else:
                        self._gap(statement, f"a trigger of {table} calls {name}(), and what that does is not known")

    def _inner(
        self, subject: Subject, bodies: list[Body], state: State, world: World
    ) -> tuple[tuple[Subject, ...], World]:
        inner: list[Subject] = []
        held = hold(state.held, subject.effects if bodies else NOTHING, subject.statement.index, subject.statement.line)
        for body in bodies:
            if self.inside >= MAX_INSIDE or self.followed >= MAX_FOLLOWED:
                self._gap(subject.statement, "more statements run inside of it than are followed")
                break
            if body in self.running or len(self.running) >= MAX_DEPTH:
                self._gap(subject.statement, "the functions that it calls call each other")
                continue
            self.running.append(body)
            outside, within = world, _within(body, world)
            world = within
            contents = self._contents(body, subject.statement)
            around = self.caught, self.maybe
            for piece in contents.pieces:
                self.caught, self.maybe = around[0] + piece.caught, around[1] or piece.conditional
                for statement in self._statements(piece, body, subject.statement):
                    self.inside, self.followed = self.inside + 1, self.followed + 1
                    here = altered(state, held=held, world=world)
                    found, world = self.visit(statement, here, inner[-1] if inner else None, world, piece)
                    effects = found.all_effects
                    if piece.value and not effects.locks and effects.known:
                        continue
                    inner.append(found)
                    held = hold(held, effects, statement.index, statement.line)
                    if statement.name == "transaction_stmt":
                        held, state = (), replace(state, transaction=self.session.another())
            self.caught, self.maybe = around
            self.running.pop()
            world = world if outside is within else world.with_settings_of(outside)
        return tuple(inner), world

    def _elements(self, subject: Subject, state: State) -> tuple[Subject, ...]:
        """What CREATE SCHEMA makes in the schema."""
        outer, inner, held = subject.statement, list[Subject](), state.held
        world = schema_elements.in_schema(schema_elements.schema_of(outer.tree), subject.world)
        texts = map(deparse, schema_elements.elements(outer.tree))
        for item in (one for text in texts for one in parse(text, file=self.parsed.file).statements):
            statement = replace(
                item, index=outer.index, line=outer.line, column=outer.column, start=outer.start, end=outer.end
            )
            here = altered(state, held=held, world=world)
            found, world = self.visit(statement, here, inner[-1] if inner else None, world, element=True)
            inner.append(found)
            held = hold(held, found.all_effects, outer.index, outer.line)
        return tuple(inner)

    def _contents(self, body: Body, caller: ParsedStatement) -> Contents:
        contents = contents_of(body)
        if body.elsewhere:
            self.called.append(Called(body, caller, self.session.world))
            name = ".".join(strings(body.statement.tree.funcname))
            self.gaps += [Gap(caller.start, f"{gap.what} in {name}()", gap.why) for gap in contents.gaps]
        else:
            self.gaps += contents.gaps
        if body.statement.name == "do_stmt":
            self.faults += contents.faults
        return contents

    def _statements(self, piece: Piece, body: Body, caller: ParsedStatement) -> Iterator[ParsedStatement]:
        """The piece as a statement of the file, at its own place; at the caller's when it stands in the catalog."""
        offset = caller.start if body.elsewhere else piece.offset
        parsed = parse(piece.sql, file=self.parsed.file)
        if parsed.problems or not parsed.statements:
            if not piece.value:
                message = parsed.problems[0].message if parsed.problems else "it is empty"
                self.gaps.append(Gap(offset, "statement", message))
            return
        line, column = (caller.line, caller.column) if body.elsewhere else self.parsed.lines.place(offset)
        for item in parsed.statements:
            start, end = offset + item.start, offset + item.end
            if body.elsewhere:
                start, end = caller.start, caller.end
            yield replace(item, index=caller.index, line=line, column=column, start=start, end=end)

    def _define(self, statement: ParsedStatement) -> None:
        if statement.name == "create_function_stmt":
            body, name = body_of(statement), strings(statement.tree.funcname)[-1:]
            if body is not None and name:
                self.functions[name[0]] = body
                self.faults += contents_of(body).faults
        elif statement.name == "create_trig_stmt":
            table = self.session.world.name(statement.tree.relation)
            self.triggers.setdefault(table, []).extend(strings(statement.tree.funcname)[-1:])

    def _gap(self, statement: ParsedStatement, why: str) -> None:
        self.gaps.append(Gap(statement.start, statement.kind, why))


def _without_elements(node: Node) -> Node:
    """CREATE SCHEMA without what it makes inside: those are statements of their own."""
    if name_of(node) != "create_schema_stmt" or not len(node.create_schema_stmt.schema_elts):
        return node
    bare = copy_of(node)
    del bare.create_schema_stmt.schema_elts[:]
    return bare


def _calls(node: Node) -> Iterator[tuple[str, int]]:
    """Bare names and numbers of arguments of the functions that a statement calls, each once."""
    seen = set()
    for call in find(node, "FuncCall"):
        name = strings(call.funcname)[-1:]
        if name and name[0] not in seen:
            seen.add(name[0])
            yield name[0], len(call.args)


def _within(body: Body, world: World) -> World:
    """With what the function sets for itself, also by a later ALTER FUNCTION."""
    statement = body.statement
    if statement.name == "create_function_stmt" and not body.elsewhere:
        known = [one for one in world.routines(strings(statement.tree.funcname)[-1]) if one.body]
        parsed = parse(known[0].body, file="catalog").statements if len(known) == 1 else ()
        statement = parsed[0] if len(parsed) == 1 else statement
    for clause in own_settings(statement):
        world = world_after(clause, world)
    return world


def _from_catalog(name: str, arguments: int, world: World) -> Body | None:
    """The body of a function or procedure that exists; None when there is none, or several that fit."""
    fitting = [item for item in world.routines(name) if item.body and item.least <= arguments <= item.most]
    if len(fitting) != 1:
        return None
    parsed = parse(fitting[0].body, file="catalog")
    body = body_of(parsed.statements[0]) if len(parsed.statements) == 1 else None
    return replace(body, elsewhere=True) if body is not None else None


def _fired(kind: str, table: str, world: World) -> Iterator[str]:
    """Functions of the triggers that the catalog has for such a change, by bare name."""
    facts = world.relation(table)
    for trigger in facts.triggers if facts is not None else ():
        if trigger.enabled in ("O", "A") and along.events_of(kind) & set(trigger.events):
            yield trigger.function.rpartition(".")[2]


def _harmless(name: str, arguments: int, world: World) -> bool:
    """Built in, or a function that the catalog says changes nothing. Names with pg_ are the server's own."""
    known = world.facts.functions.get(name, ()) if world.facts is not None else ()
    fitting = [item for item in known if item.least <= arguments <= item.most]
    if fitting and all(item.volatility != "v" or item.schema == "pg_catalog" for item in fitting):
        return True
    return name.startswith("pg_") or name in STEADY or name in VOLATILE or name in AGGREGATES


def _changes(statement: ParsedStatement, world: World) -> tuple[along.Change, ...]:
    """Kind of change and table, whatever a view, a rule or a foreign key makes of it."""
    columns = None
    if statement.name == "update_stmt":
        columns = {item.res_target.name for item in statement.tree.target_list}
    found = (one for kind, table in _targets(statement, world) for one in along.changes(kind, table, columns, world))
    return tuple(dict.fromkeys(found))


def _targets(statement: ParsedStatement, world: World) -> Iterator[tuple[str, str]]:
    """Kind of change and table, also of the statements that CREATE RULE adds."""
    tree = statement.tree
    if statement.name == "truncate_stmt":
        yield from ((statement.kind, world.name(item.range_var)) for item in tree.relations)
    elif tree.HasField("relation") and (name_of(statement.node) != "copy_stmt" or tree.is_from):
        table = world.name(tree.relation)
        facts = world.relation(table)
        if facts is None or not facts.rules:
            yield statement.kind, table
        else:
            yield from rewriting.changes(tree, statement.kind, world)
