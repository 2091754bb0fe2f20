"""What the statements of a step leave in their session for those that come after: settings, temporary tables and such.

Statements that commit one by one may be gone on with in another session. So the ledger's cursor says how this one
differs from how it began, and the next attempt makes the difference good, or stops before it does something else. The
ledger gets no values: a setting may hold a row. It gets where in the file a value stands, whose text it has the digest
of, or one of the few words that a switch knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg

from migrator.database import naming, queries, session
from migrator.database.meanings import PINNED
from migrator.errors import NeedsHuman
from migrator.plan import Statement, Step
from migrator.steps.context import StepContext

Connection = psycopg.Connection[Any]

KEY = "session"
"""Of the cursor; absent while the session is as it began."""

SETTERS = ("SET", "RESET", "SET SESSION CHARACTERISTICS", "DISCARD ALL")
"""They set constants and nothing else, so they are sent again. All others may have done more."""

PATH = "search_path"
OTHERS = ("role", "session_authorization")
"""Not in pg_settings."""

_DOTTED = re.compile(r"[a-z_][\w$]*(?:\.[\w$]+)+")


@dataclass(frozen=True)
class Value:
    shown: str
    written: str
    """As `shown`, without a unit."""
    of_few: bool = False
    """A boolean, or one of the words that the setting knows."""


@dataclass(frozen=True)
class Seen:
    settings: Mapping[str, Value]
    things: tuple[tuple[str, str], ...]
    """Kind and name of what ends with the session."""
    path: str
    """The search path that RESET goes back to."""


@dataclass(frozen=True)
class SessionState:
    """The session as it began, as it is, and where each difference comes from."""

    begun: Seen
    now: Seen
    names: tuple[str, ...]
    """Settings to be asked for by name."""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    things: tuple[Mapping[str, Any], ...] = ()

    @property
    def document(self) -> dict[str, Any]:
        """For the cursor."""
        if not self.settings and not self.things:
            return {}
        return {KEY: {"settings": dict(self.settings), "things": list(self.things)}}

    def after(self, statement: Statement, position: int, conn: Connection) -> SessionState:
        """Seen right after the statement; in its transaction, as that leaves it."""
        seen = look(conn, self.names)
        settings = {}
        for name in sorted({*self.begun.settings, *seen.settings}):
            value = seen.settings.get(name)
            if _is_as_begun(name, value, self.begun.settings.get(name)):
                continue
            settings[name] = (
                self.settings[name]
                if name in self.settings and value == self.now.settings.get(name)
                else _origin(statement, position, value, name, seen)
            )
        known = {(thing["what"], thing["name"]): thing for thing in self.things}
        things = [
            known.get((what, name)) or known.get((what, "")) or _thing(statement, position, what, name)
            for what, name in seen.things
            if (what, name) not in self.begun.things
        ]
        unique = {(thing["what"], thing["name"], thing["at"]): thing for thing in things}
        return replace(self, now=seen, settings=settings, things=tuple(unique.values()))


def _is_as_begun(name: str, value: Value | None, begun: Value | None) -> bool:
    """A language that is loaded takes over what the engine has set of it before, when nobody listed it."""
    if value is not None and begun is None and name in PINNED:
        return value.shown == PINNED[name]
    return value == begun


def begin(step: Step, conn: Connection) -> SessionState:
    """To be called before the first statement is sent."""
    with session.translated():
        found = {str(name) for (name,) in conn.execute(_query("setters")).fetchall()}
        for statement in step.statements:
            found.update(_DOTTED.findall(statement.sql.replace('"', "").lower()))
        names = tuple(_readable(sorted(found), conn))
    seen = look(conn, names)
    return SessionState(begun=seen, now=seen, names=names)


def look(conn: Connection, names: Iterable[str]) -> Seen:
    with session.translated():
        rows = conn.execute(_query("now"), {"names": [*OTHERS, *names]}).fetchall()
    settings = {name: Value(shown, written, of_few) for what, name, shown, written, of_few in rows if what == "setting"}
    path = naming.path_of(conn)
    if path is not None:
        settings[PATH] = Value(path, path)
    default = next((shown for what, _, shown, *_ in rows if what == "path"), "")
    things = sorted((what, name) for what, name, *_ in rows if what not in ("setting", "path"))
    return Seen(settings, tuple(things), default)


def restore(
    state: SessionState,
    cursor: Mapping[str, Any],
    step: Step,
    ctx: StepContext,
    conn: Connection,
    send: Callable[[Statement], object],
) -> SessionState:
    """Make the new session what the cursor says of the old one.

    :param send: sends a statement of the step again.
    :raises NeedsHuman: that cannot be, because of something that only the old session had.
    """
    document = cursor.get(KEY)
    if not document:
        return state
    _require_restorable(document, step, ctx)
    sent: set[int] = set()
    for name, origin in sorted(document["settings"].items(), key=lambda item: int(item[1]["at"])):
        at = int(origin["at"])
        if "again" in origin:
            if at not in sent:
                sent.add(at)
                send(step.statements[at])
            continue
        if "reset" in origin:
            value = None
        elif "from" in origin:
            value = step.statements[at].sql[int(origin["from"]) : int(origin["to"])]
        else:
            value = str(origin["value"])
        _set(conn, name, value, state.begun.path)
    return replace(state, now=look(conn, state.names), settings=document["settings"])


def _require_restorable(document: Mapping[str, Any], step: Step, ctx: StepContext) -> None:
    lost = [
        (int(origin["at"]), f"has set {name} to a value that does not stand in its text")
        for name, origin in document["settings"].items()
        if "lost" in origin
    ]
    lost += [
        (int(thing["at"]), f"has left {f'{what} {name}' if (name := thing['name']) else f'a {what}'}")
        for thing in document["things"]
        for what in [thing["what"]]
    ]
    if not lost:
        return
    told = "; ".join(f"statement {at + 1} of step {step.name!r} {what}" for at, what in sorted(lost))
    raise NeedsHuman(
        f"the rest of the step cannot be run in a new session: {told}, and that ended with the session of the attempt"
        " that was interrupted. roll the migration back, then let the file set what it needs with SET and a constant,"
        " or put these statements into a migration of their own that runs in one transaction",
        version=ctx.plan.version,
        step=step.name,
    )


def _origin(statement: Statement, position: int, value: Value | None, name: str, seen: Seen) -> dict[str, Any]:
    """How the next session comes to this value."""
    if statement.kind in SETTERS:
        return {"at": position, "again": True}
    if value is None or (name == PATH and value.shown == seen.path):
        return {"at": position, "reset": True}
    if value.of_few or not value.shown:
        return {"at": position, "value": value.shown}
    for text in (value.shown, value.written):
        if (place := _stands(text, statement.sql)) is not None:
            return {"at": position, "from": place, "to": place + len(text)}
    return {"at": position, "lost": True}


def _thing(statement: Statement, position: int, what: str, name: str) -> dict[str, Any]:
    """Its name may have been made of rows."""
    known = what == "advisory lock" or _stands(name, statement.sql.lower()) is not None
    return {"at": position, "what": what, "name": name if known and what != "advisory lock" else ""}


def _stands(text: str, sql: str) -> int | None:
    found = re.search(rf"(?<!\w){re.escape(text)}(?!\w)", sql)
    return found.start() if found else None


def _set(conn: Connection, name: str, value: str | None, path: str) -> None:
    if name == PATH:
        naming.keep_path(conn, path if value is None else value)
        return
    with session.translated():
        if value is None:
            conn.execute(psycopg.sql.SQL("RESET {}").format(psycopg.sql.Identifier(*name.split("."))))
        else:
            conn.execute("SELECT pg_catalog.set_config(%s, %s, false)", (name, value))


def _readable(names: list[str], conn: Connection) -> Iterable[str]:
    """Without those of an extension that only some roles may read."""
    for name in names:
        try:
            conn.execute(_query("readable"), {"name": name})
        except psycopg.errors.InsufficientPrivilege:
            continue
        yield name


def _query(name: str) -> str:
    return queries.load(__package__, "session_state")[name]
