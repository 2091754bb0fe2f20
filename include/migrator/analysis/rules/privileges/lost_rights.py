"""What a function or view loses when it is made anew, or replaced by a statement that does not say it again.

DROP and CREATE: owner, grants and comment go, and EXECUTE is everybody's (acldefault in src/backend/utils/adt/acl.c).
OR REPLACE keeps those, and takes every clause that the statement does not repeat from the defaults (CreateFunction in
src/backend/commands/functioncmds.c, DefineVirtualRelation in src/backend/commands/view.c).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from migrator.analysis.effects import World
from migrator.analysis.effects.names import routines
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.online.expressions import statement_of
from migrator.analysis.walk.script import Script
from migrator.analysis.walk.subject import Subject
from migrator.facts.facts import FunctionFacts
from migrator.parsing.build import script
from migrator.parsing.nodes import Node, copy_of, enum, find, strings
from migrator.plan import Severity

WORDS = {
    "REVOKE": "PUBLIC may execute it again",
    "GRANT": "its grants are gone",
    "ALTER": "it gets another owner",
    "COMMENT": "its comment is gone",
}
"""By the first word of the statement that keeps it."""
CLAUSES = {
    "security": "SECURITY DEFINER",
    "set": "SET",
    "volatility": "volatility",
    "leakproof": "LEAKPROOF",
    "parallel": "PARALLEL",
    "strict": "STRICT",
    "cost": "COST",
    "rows": "ROWS",
    "support": "SUPPORT",
}
GRAVE = frozenset({"security", "set", "leakproof", "security_invoker", "security_barrier", "check_option"})
"""The others change how fast it is, and what the planner may do with it."""


def check(script_: Script) -> Iterator[Hit]:
    subjects = script_.everything()
    dropped: set[int] = set()
    for place, subject in enumerate(subjects):
        later = subjects[place + 1 :]
        statement, tree, world = subject.statement, subject.statement.tree, subject.world
        if statement.name in ("drop_stmt", "rename_stmt"):
            dropped |= {facts.oid for facts in _given_up(statement.name, tree, world)}
        elif statement.name == "create_function_stmt":
            old = _before(tree, world)
            if old is not None and old.oid in dropped:
                yield from _anew(subject, f"{old.schema}.{strings(tree.funcname)[-1]}", old.kept, later)
            elif old is not None and tree.replace:
                yield from _clauses(subject, routines.same(tree, world) or old)
        else:
            yield from _relation(subject, subjects[0].world, later)


def _relation(subject: Subject, first: World, later: Sequence[Subject]) -> Iterator[Hit]:
    tree, name = subject.statement.tree, subject.statement.name
    made = tree.view if name == "view_stmt" else tree.into.rel if name == "create_table_as_stmt" else None
    if name in ("create_stmt", "create_foreign_table_stmt"):
        made = tree.relation if name == "create_stmt" else tree.base_stmt.relation
    elif name == "create_seq_stmt":
        made = tree.sequence
    if made is None:
        return
    relation = subject.world.name(made)
    old = first.relation(relation)
    if old is None:
        return
    now = subject.world.relation(relation)
    if now is None:
        yield from _anew(subject, relation, old.kept, later)
    elif name == "view_stmt" and tree.replace:
        said = {item.def_elem.defname.lower() for item in tree.options}
        said |= {"check_option"} if enum(tree, "with_check_option") != "NO_CHECK_OPTION" else set()
        lost = [item for item in now.options if item.partition("=")[0] not in said]
        if lost:
            yield _replaced(subject, relation, lost, {item.partition("=")[0] for item in lost}, None)


def _anew(subject: Subject, name: str, kept: Sequence[str], later: Sequence[Subject]) -> Iterator[Hit]:
    statements = [made for made in map(statement_of, kept) if made is not None]
    done = {_kind(other.statement.node) for other in later if _names(other, name)}
    missing = [made for made in statements if _kind(made) not in done]
    if not missing:
        return
    words = dict.fromkeys(WORDS[_kind(made)] for made in missing)
    grave = any(_kind(made) != "COMMENT" for made in missing)
    yield Hit(
        f"{name} is made anew: {', '.join(words)}",
        severity=Severity.WARNING if grave else Severity.INFO,
        subject=subject,
        alternative_sql=None if subject.nested else script((subject.statement.node, *missing)),
    )


def _clauses(subject: Subject, old: FunctionFacts) -> Iterator[Hit]:
    made = statement_of(old.body) if old.body else None
    if made is None:
        return
    said = {_clause(item.def_elem) for item in subject.statement.tree.options}
    lost = [
        item
        for item in made.create_function_stmt.options
        if item.def_elem.defname in CLAUSES and _clause(item.def_elem) not in said
    ]
    if lost:
        better = copy_of(subject.statement.node)
        better.create_function_stmt.options.extend(lost)
        names = [CLAUSES[item.def_elem.defname] for item in lost]
        kinds = {item.def_elem.defname for item in lost}
        name = f"{old.schema}.{strings(subject.statement.tree.funcname)[-1]}"
        yield _replaced(subject, name, list(dict.fromkeys(names)), kinds, better)


def _clause(item: Node) -> tuple[str, str]:
    setting = item.arg.variable_set_stmt.name if item.defname == "set" else ""
    return item.defname, setting


def _replaced(subject: Subject, name: str, lost: Sequence[str], kinds: set[str], better: Node | None) -> Hit:
    return Hit(
        f"OR REPLACE keeps the grants of {name}, but not what the statement does not say again: {', '.join(lost)}",
        severity=Severity.WARNING if kinds & GRAVE else Severity.INFO,
        subject=subject,
        alternative_sql=None if better is None or subject.nested else script((better,)),
    )


def _before(tree: Node, world: World) -> FunctionFacts | None:
    """The one of the catalog that CREATE FUNCTION means, be it gone by now."""
    known = world.facts.functions if world.facts is not None else {}
    return routines.same(tree, world, known.get(strings(tree.funcname)[-1], ()))


def _given_up(name: str, tree: Node, world: World) -> Iterator[FunctionFacts]:
    for item in tree.objects if name == "drop_stmt" else (tree.object,):
        if item.HasField("object_with_args"):
            yield from routines.named(item.object_with_args, world)


def _kind(node: Node) -> str:
    """As `WORDS` has it; "" for what has nothing to do with it."""
    if node.HasField("grant_stmt"):
        return "GRANT" if node.grant_stmt.is_grant else "REVOKE"
    if node.HasField("alter_owner_stmt") or node.HasField("alter_table_stmt"):
        return "ALTER"
    return "COMMENT" if node.HasField("comment_stmt") else ""


def _names(subject: Subject, name: str) -> bool:
    """Whether a statement is about this object; of functions by their name alone."""
    tree, bare = subject.statement.tree, name.rpartition(".")[2]
    if any(subject.world.name(one) == name for one in find(tree, "RangeVar")):
        return True
    if any(strings(one.objname)[-1:] == (bare,) for one in find(tree, "ObjectWithArgs")):
        return True
    return any(strings(one.items)[-1:] == (bare,) for one in find(tree, "List"))


RULE = Rule(
    id="loses-rights",
    severity=Severity.WARNING,
    condition="CREATE of a function, procedure, view, materialized view, table or sequence that the same migration has"
    " dropped or renamed; CREATE OR REPLACE of a function or view that leaves out what it had",
    effect="owner, grants and comment are gone, and PUBLIC may execute the function; OR REPLACE: SECURITY DEFINER, SET,"
    " volatility, LEAKPROOF, PARALLEL, STRICT, COST, security_invoker and security_barrier are the defaults again",
    alternative="say it again in the same migration: the statement has it from the catalog",
    without_sql="inside of functions and DO blocks, and for the options of a view: there say them again, WITH (...)",
    source=DOCS + "sql-createfunction.html#SQL-CREATEFUNCTION-NOTES",
    script=check,
)
