"""Names without a schema that mean something else to a plain session of the login role than to the engine's."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.effects import World
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.script import Script
from migrator.analysis.walk.subject import Subject
from migrator.facts.names import RELATIONS
from migrator.facts.outer import Login
from migrator.parsing.nodes import Node, enum, find, relations, strings
from migrator.plan import Severity

SHOWN = 5
_MADE = {
    "create_enum_stmt": "type_name",
    "create_range_stmt": "type_name",
    "create_domain_stmt": "domainname",
    "create_function_stmt": "funcname",
    "define_stmt": "defnames",
}
"""Statements that make what is no relation, and where its name stands."""
_MADE_RELATIONS = {
    "create_stmt": "relation",
    "create_seq_stmt": "sequence",
    "view_stmt": "view",
    "composite_type_stmt": "typevar",
}


def check(script: Script) -> Iterator[Hit]:
    found: dict[str, Subject] = {}
    login: Login | None = None
    for subject in script.everything():
        world = subject.world
        login = world.facts.login if world.facts is not None else None
        if login is None or world.search_path is not None:
            continue
        for text in _different(subject, login):
            found.setdefault(text, subject)
    if not found or login is None:
        return
    shown = [*found][:SHOWN]
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    ours = f'"{login.our_path}", which the key `search_path` of targets.yaml decides' if login.our_path else "another"
    yield Hit(
        f"a session of the login {login.role} has the search_path {login.search_path}, the migration's has {ours}:"
        f" {'; '.join(shown)}{more}",
        subject=found[shown[0]],
    )


def _different(subject: Subject, login: Login) -> Iterator[str]:
    world, tree = subject.world, subject.statement.tree
    made = _made(subject)
    if made and login.schema != world.schema:
        yield f"{made} is made as {world.schema}.{made} here, there " + (
            f"as {login.schema}.{made}" if login.schema else "nowhere"
        )
    for kind, name in _named(tree, subject.statement.name):
        there = login.elsewhere.get((kind, name))
        if there is None or name == made or world.is_new(world.dotted((name,))):
            continue
        yield f"{name} is {there}.{name} there, " + _here(kind, name, world)


def _here(kind: str, name: str, world: World) -> str:
    if kind == "relation" and world.exists(world.dotted((name,))):
        return f"here {world.dotted((name,))}"
    return "here another" if kind != "relation" else "here nothing"


def _named(tree: Node, statement: str) -> Iterator[tuple[str, str]]:
    """Kind and name of what is named without a schema."""
    for item in relations(tree):
        if not item.schemaname:
            yield "relation", item.relname
    for message, field, kind in (("TypeName", "names", "type"), ("FuncCall", "funcname", "function")):
        for item in find(tree, message):
            parts = strings(getattr(item, field))
            if len(parts) == 1:
                yield kind, parts[0]
    if statement == "drop_stmt" and enum(tree, "remove_type") in RELATIONS:
        for item in tree.objects:
            parts = strings(item.list.items)
            if len(parts) == 1:
                yield "relation", parts[0]


def _made(subject: Subject) -> str:
    """The name without a schema of what the statement makes; "" for none."""
    name, tree = subject.statement.name, subject.statement.tree
    if name in _MADE:
        parts = strings(getattr(tree, _MADE[name]))
        return parts[0] if len(parts) == 1 else ""
    if name == "create_table_as_stmt":
        made = tree.into.rel
    elif name == "create_foreign_table_stmt":
        made = tree.base_stmt.relation
    elif name == "select_stmt" and tree.HasField("into_clause"):
        made = tree.into_clause.rel
    elif name in _MADE_RELATIONS:
        made = getattr(tree, _MADE_RELATIONS[name])
    else:
        return ""
    return "" if made.schemaname or made.relpersistence == "t" else str(made.relname)


RULE = Rule(
    id="search-path-differs",
    severity=Severity.WARNING,
    condition="names without a schema, where the role, the database or the server has a search_path that finds them, or"
    " makes them, in another schema than the target's does",
    effect="psql, and the tool that ran the earlier migrations, change other tables than the engine does",
    alternative="write the schema in front of the names, or give the target the database's path: the key `search_path`"
    " of targets.yaml",
    without_sql="always: which of the two is meant, nobody knows but the author",
    source=DOCS + "ddl-schemas.html#DDL-SCHEMAS-PATH",
    script=check,
)
