"""DROP ... CASCADE: what else goes, and which tables it locks."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.parsing.kinds import object_name
from migrator.parsing.nodes import enum, strings
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    tree, world = subject.statement.tree, subject.world
    if subject.statement.name == "drop_owned_stmt":
        yield Hit("DROP OWNED drops every object of the role in this database, and its privileges")
        return
    if enum(tree, "behavior") != "DROP_CASCADE":
        return
    kind = object_name(enum(tree, "remove_type")).lower()
    named = {world.dotted(strings(item.list.items)) for item in tree.objects if item.HasField("list")}
    if named and all(world.is_certainly_new(name) for name in named):
        return
    reached = [lock.relation for lock in subject.effects.locks if lock.relation not in named]
    if reached:
        more = f" and {len(reached) - 5} more" if len(reached) > 5 else ""
        yield Hit(
            f"CASCADE reaches {', '.join(reached[:5])}{more}: what depends on the {kind} is dropped, or loses columns,"
            " defaults, constraints or triggers, and each table is locked"
        )
    elif world.facts is None:
        yield Hit(
            f"CASCADE drops whatever depends on the {kind}, unseen; a connection would tell what that is",
            severity=Severity.INFO,
        )


RULE = Rule(
    id="drop-cascade",
    severity=Severity.WARNING,
    condition="DROP ... CASCADE, or DROP OWNED",
    effect="objects that the statement does not name are dropped; every table among them is locked ACCESS EXCLUSIVE",
    alternative="without CASCADE the server refuses and lists the dependents: drop those by name that may go",
    without_sql="always: what depends on it is named in the message; each is dropped, or changed, by a statement that"
    " says so",
    source=DOCS + "ddl-depend.html",
    aliases=(
        "squawk:ban-drop-function",
        "squawk:ban-drop-type",
        "squawk:ban-drop-schema",
        "pgfence:drop-schema-cascade",
    ),
    statement=check,
    on=("drop_stmt", "drop_owned_stmt"),
)
