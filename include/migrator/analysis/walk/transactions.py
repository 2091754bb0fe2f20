"""What a session has at each place of a file: its transaction, the locks it holds, its settings, the objects it made.

A lock is held until the transaction ends, or until ROLLBACK TO SAVEPOINT takes back the statement that took it
(https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES). Settings made with SET are taken back by
ROLLBACK, too; those made with SET LOCAL end with the transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from migrator.analysis.effects.model import Effects
from migrator.analysis.effects.world import World
from migrator.facts.facts import altered
from migrator.frozen import frozen
from migrator.lock_modes import strength
from migrator.parsing.nodes import Node, enum, name_of

if TYPE_CHECKING:
    from migrator.parsing.statements import ParsedStatement

BEGINS = ("TRANS_STMT_BEGIN", "TRANS_STMT_START")


@frozen
class Held:
    """A lock that is held, and the statement that took it."""

    relation: str
    mode: str
    statement: int
    line: int


@frozen
class Setting:
    """A parameter that the file has set; `value` as written ("5s", "0"), "" for DEFAULT and RESET."""

    value: str
    local: bool
    line: int


@frozen
class State:
    world: World
    transaction: int = -1
    """Number of the transaction within the file: statements with the same number share one."""
    in_block: bool = False
    """Whether the transaction goes on after the statement."""
    held: tuple[Held, ...] = ()
    """Locks of earlier statements of the transaction, the strongest mode of each relation."""
    settings: Mapping[str, Setting] = field(default_factory=dict)
    """By lower-case name, what the file itself has set so far."""


@frozen
class Issue:
    """A transaction command that does not do what it says, or a transaction that never ends."""

    statement: int
    message: str
    fails: bool = False
    """Whether the server answers with an error; else with a warning, or with nothing."""


class Session:
    """Follows a file statement by statement. `one`: the whole file is one transaction, which the engine opens."""

    def __init__(self, world: World, *, one: bool) -> None:
        self.issues: list[Issue] = []
        self._one = one
        self._next = 0
        self._state = State(world.in_another_transaction())
        self._begin: State | None = None
        self._begun_at: int | None = None
        self._savepoints: list[tuple[str, State]] = []
        if one:
            self.open()

    def before(self) -> State:
        """What the next statement finds."""
        if not self._state.in_block:
            state = self._state
            self._state = State(state.world, self._next, False, (), state.settings)
            self._next += 1
        return self._state

    def after(self, statement: ParsedStatement, effects: Effects, world: World) -> None:
        """`world`: the world once the statement has run."""
        if world is not self._state.world:
            self._state = altered(self._state, world=world if self._state.in_block else world.in_another_transaction())
        if statement.name == "transaction_stmt":
            self._control(statement)
        elif statement.name == "variable_set_stmt":
            self._set(statement)
        if self._state.in_block and effects.locks:
            held = hold(self._state.held, effects, statement.index, statement.line)
            if held is not self._state.held:
                self._state = altered(self._state, held=held)

    def finish(self) -> World:
        """The world after the last statement; a block that is still open is an issue, and the server drops its work."""
        if self._begun_at is not None:
            self.issues.append(
                Issue(self._begun_at, "the transaction that begins here is never committed: all of it is lost")
            )
            assert self._begin is not None
            return self._begin.world
        return self._state.world

    @property
    def world(self) -> World:
        return self._state.world

    def another(self) -> int:
        """A number for the transaction that a block begins with its own COMMIT."""
        self._next += 1
        return self._next - 1

    def open(self) -> None:
        self._begin = self._state
        self._savepoints = []
        self._state = altered(self._state, transaction=self._next, in_block=True, held=())
        self._next += 1

    def close(self) -> None:
        settings = {name: item for name, item in self._state.settings.items() if not item.local}
        world = self._state.world.in_another_transaction()
        self._state = altered(self._state, world=world, in_block=False, held=(), settings=settings)
        self._begun_at, self._savepoints = None, []

    def _control(self, statement: ParsedStatement) -> None:
        kind = enum(statement.tree, "kind")
        if kind in BEGINS:
            if self._state.in_block:
                self._issue(statement, "a transaction is open already: BEGIN does nothing but a warning")
            else:
                self.open()
                self._begun_at = statement.index
        elif kind in ("TRANS_STMT_COMMIT", "TRANS_STMT_ROLLBACK", "TRANS_STMT_PREPARE"):
            self._end(statement, kind)
        elif kind == "TRANS_STMT_SAVEPOINT" and self._in_block(statement):
            self._savepoints.append((statement.tree.savepoint_name, self._state))
        elif kind in ("TRANS_STMT_RELEASE", "TRANS_STMT_ROLLBACK_TO") and self._in_block(statement):
            self._savepoint(statement, kind)

    def _end(self, statement: ParsedStatement, kind: str) -> None:
        if not self._state.in_block:
            fails = kind == "TRANS_STMT_PREPARE" or statement.tree.chain
            self._issue(statement, f"no transaction is open here: {statement.kind} ends nothing", fails=fails)
            return
        if kind == "TRANS_STMT_PREPARE":
            self._issue(statement, "its locks stay after the session ends, until somebody commits or rolls it back")
        elif self._one and self._begun_at is None:
            self._issue(statement, f"{statement.kind} ends the transaction that the engine has opened for the file")
        if kind == "TRANS_STMT_ROLLBACK" and self._begin is not None:
            self._state = altered(self._state, world=self._begin.world, settings=self._begin.settings)
        self.close()
        if statement.tree.chain:
            self.open()
            self._begun_at = statement.index

    def _savepoint(self, statement: ParsedStatement, kind: str) -> None:
        name = statement.tree.savepoint_name
        found = next((i for i in range(len(self._savepoints) - 1, -1, -1) if self._savepoints[i][0] == name), None)
        if found is None:
            self._issue(statement, f'savepoint "{name}" does not exist (3B001)', fails=True)
        elif kind == "TRANS_STMT_RELEASE":
            del self._savepoints[found:]
        else:
            self._state = self._savepoints[found][1]
            del self._savepoints[found + 1 :]

    def _in_block(self, statement: ParsedStatement) -> bool:
        if not self._state.in_block:
            self._issue(statement, f"{statement.kind} can only be used in a transaction block (25P01)", fails=True)
        return self._state.in_block

    def _issue(self, statement: ParsedStatement, message: str, *, fails: bool = False) -> None:
        self.issues.append(Issue(statement.index, message, fails))

    def _set(self, statement: ParsedStatement) -> None:
        tree = statement.tree
        kind, name = enum(tree, "kind"), tree.name.lower()
        settings = dict(self._state.settings)
        if kind == "VAR_RESET_ALL":
            settings = {}
        elif tree.is_local and not self._state.in_block:
            return  # does nothing but a warning
        elif kind in ("VAR_SET_VALUE", "VAR_SET_DEFAULT", "VAR_RESET"):
            settings[name] = Setting(_text(tree.args), bool(tree.is_local), statement.line)
        self._state = altered(self._state, settings=settings)


def hold(held: tuple[Held, ...], effects: Effects, statement: int, line: int) -> tuple[Held, ...]:
    """The locks held once a statement with these effects has run as well, in the order in which they were taken.
    `held` itself when it takes no more."""
    if not effects.locks:
        return held
    result = {item.relation: item for item in held}  # a DROP SCHEMA may lock tens of thousands
    more = False
    for lock in effects.locks:
        known = result.get(lock.relation)
        if known is None or strength(lock.mode) > strength(known.mode):
            result[lock.relation] = Held(lock.relation, lock.mode, statement, line)
            more = True
    return tuple(result.values()) if more else held


def begins(node: Node) -> bool:
    """Whether the statement opens a transaction block."""
    return name_of(node) == "transaction_stmt" and enum(node.transaction_stmt, "kind") in BEGINS


def _text(args: Sequence[Node]) -> str:
    parts = []
    for item in args:
        if name_of(item) != "a_const":
            continue
        kind = item.a_const.WhichOneof("val")
        value = getattr(item.a_const, kind) if kind else None
        parts.append(str(getattr(value, kind, "")) if value is not None else "")
    return ", ".join(parts)
