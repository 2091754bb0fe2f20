"""A statement that cannot succeed, as the catalog and the file are understood.

It is a forecast, and was wrong for one in sixty of the migrations that others really ran: what a server derives,
inlines or looks up only when it runs, nobody tells without one. So it warns, and the restored copy decides by running.
"""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.facts.names import DROP_CASCADE
from migrator.parsing.nodes import Node, commands, content, enum, name_of
from migrator.plan import MAY_FAIL, Severity

_UNDEFINED, _BRINGS = ("42883", "42704"), "create_extension_stmt"
"""No such function, or type: an extension of the same file has some whose names stand nowhere in it."""
_THERE = ("42P06", "42701", "42710", "42723", "42P07")
"""There already: what CASCADE takes along stands nowhere in the file, and the catalog does not know all of it."""


def check(subject: Subject) -> Iterator[Hit]:
    failure = subject.effects.fails
    if failure is None or "CONCURRENTLY" in subject.statement.kind:  # concurrently-refused says what to do instead
        return
    if subject.world.facts is None:
        return
    if failure.sqlstate in _UNDEFINED and any(item.statement.name == _BRINGS for item in subject.earlier):
        return
    if failure.sqlstate in _THERE and any(_takes_others(item.statement.node) for item in subject.earlier):
        return
    maybe = subject.conditional or any(not item.effects.known for item in subject.earlier)
    yield Hit(
        f"may fail with {failure.sqlstate}: {failure.message}"
        + (", unless what runs before it changes that" if maybe else "")
    )


def _takes_others(node: Node) -> bool:
    """DROP ... CASCADE, of an object or of a part of a table."""
    tree = content(node)
    if name_of(node) == "alter_table_stmt":
        return any(enum(command, "behavior") == DROP_CASCADE for command in commands(tree))
    return name_of(node) == "drop_stmt" and enum(tree, "behavior") == DROP_CASCADE


RULE = Rule(
    id=MAY_FAIL,
    severity=Severity.WARNING,
    condition="an object that seems to be missing, to exist already, to belong to somebody else, or to have dependents",
    effect="if so, the migration stops at this statement: the dry run tells by running it on the restored copy",
    alternative="see the message: the name, the order of statements, the owner, or what depends on the object",
    without_sql="always: the statement seems wrong for this catalog, and what was meant is not known",
    source=DOCS + "errcodes-appendix.html",
    aliases=("migrator:will-fail",),
    statement=check,
    predicts=True,
)
