"""Rows that get readers without a GRANT: through a parent, a view, a policy, or a function with its owner's rights."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import lru_cache

from migrator.analysis.effects import World
from migrator.analysis.effects.names import definitions, routines
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.privileges.roles import called
from migrator.analysis.rules.privileges.run_by_others import above
from migrator.analysis.walk.spots import Spot
from migrator.facts.facts import FunctionFacts, RelationFacts
from migrator.parsing.nodes import Node, enum, flag, strings
from migrator.parsing.statements import parse
from migrator.plan import Severity

EVERYBODY = "PUBLIC"


def check(spot: Spot) -> Iterator[Hit]:
    node, world = spot.node, spot.world
    if world.facts is None:
        return
    if spot.kind == "AlterTableStmt":
        for item in node.cmds:
            yield from _below(node, item.alter_table_cmd, world)
    elif spot.kind == "ViewStmt":
        yield from _query(node, world)
    elif spot.kind == "CreateFunctionStmt":
        yield from _callee(spot)
    elif not spot.around.script.rollback:  # which gives back the one before
        yield from _policy(spot)


def _below(node: Node, command: Node, world: World) -> Iterator[Hit]:
    subtype, given = enum(command, "subtype"), getattr(command, "def")
    if subtype == "AT_AddInherit":
        child, parent = world.name(node.relation), world.name(given.range_var)
    elif subtype == "AT_AttachPartition" and given.partition_cmd.HasField("bound"):
        child, parent = world.name(given.partition_cmd.name), world.name(node.relation)
    else:
        return
    part = _there(child, world)
    if part is None or part.parent == parent:
        return
    above_it = _there(parent, world)
    while above_it is not None:
        for role in _more(_readers(above_it), _readers(part)):
            yield Hit(f"{role} reads every row of {child} through {above_it.name} from then on")
        above_it = _there(above_it.parent, world) if above_it.parent is not None else None


def _query(node: Node, world: World) -> Iterator[Hit]:
    """OR REPLACE keeps the grants, and a view reads with its owner's rights."""
    name = world.name(node.view)
    old = _there(name, world) if node.replace else None
    if old is None or flag(node.options, "security_invoker", False):
        return
    for read in definitions.read_relations(node.query, world):
        table = _there(read, world)
        if table is not None and read not in old.reads:
            for role in _more(_readers(old), _readers(table)):
                yield Hit(f"{role} reads rows of {read} through {name} from then on")


def _callee(spot: Spot) -> Iterator[Hit]:
    tree, world = spot.node, spot.world
    old = routines.same(tree, world) if tree.replace else None
    bare = strings(tree.funcname)[-1]
    if old is None or not old.oid:
        return
    for door, one in above(bare, spot):
        if _is_definer(one):
            for role in _callers(one):
                yield Hit(
                    f"{role} has the new code of {bare}() run with its owner's rights by calling {one.schema}.{door}(),"
                    " which is SECURITY DEFINER"
                )


def _policy(spot: Spot) -> Iterator[Hit]:
    node, world = spot.node, spot.world
    table = _there(name := world.name(node.table), world)
    if table is None or not table.row_security:
        return
    there = node.policy_name in table.policies
    if spot.kind == "AlterPolicyStmt":
        shows = there and (node.HasField("qual") or node.HasField("with_check"))
    else:
        shows = bool(node.permissive)
    if shows:
        what = "another condition" if there else "a condition of its own beside those of the others"
        for role in sorted(_users(table)):
            yield Hit(f"the policy {node.policy_name} has {what}: {role} may get at rows of {name} that were hidden")


def _there(name: str, world: World) -> RelationFacts | None:
    """As it was before the migration."""
    if world.facts is None or world.is_new(name):
        return None
    return world.facts.relations.get(name)


def _more(those: Collection[str], direct: Collection[str]) -> list[str]:
    return [] if EVERYBODY in direct else sorted(set(those) - set(direct))


def _readers(relation: RelationFacts) -> frozenset[str]:
    return frozenset(role for text in relation.kept for role in _granted(text, "select"))


def _users(relation: RelationFacts) -> frozenset[str]:
    verbs = ("select", "insert", "update", "delete")
    return frozenset(role for text in relation.kept for verb in verbs for role in _granted(text, verb))


def _callers(function: FunctionFacts) -> list[str]:
    named = {role for text in function.kept for role in _granted(text, "execute")}
    taken = any(text.startswith("REVOKE EXECUTE") for text in function.kept)
    return sorted(named if taken else {EVERYBODY})


@lru_cache(maxsize=4096)
def _granted(text: str, privilege: str) -> tuple[str, ...]:
    """To whom a statement of the catalog grants it."""
    if not text.startswith("GRANT "):
        return ()
    (statement,) = parse(text, file="catalog").statements
    names = {item.access_priv.priv_name for item in statement.tree.privileges}
    return tuple(called(item.role_spec) for item in statement.tree.grantees) if privilege in names else ()


def _is_definer(function: FunctionFacts) -> bool:
    made = parse(function.body, file="catalog").statements if function.body else ()
    return any(flag(one.tree.options, "security", False) for one in made)


RULE = Rule(
    id="shows-rows-to-others",
    severity=Severity.WARNING,
    condition="where others than the owner may use it: INHERIT and ATTACH PARTITION of a table that is there, OR"
    " REPLACE of a view that then reads another table, a policy's new condition, one more permissive policy, OR REPLACE"
    " of what a function with SECURITY DEFINER calls",
    effect="PostgreSQL asks for rights on what a statement names, not on what lies behind it: roles read rows that"
    " nobody has granted them",
    alternative="take the right on the parent, view or function from who should not have the rows, in the same"
    " transaction, or make a view or function with rights of its own",
    without_sql="always: which rows a role may see is a decision",
    source=DOCS + "sql-grant.html",
    spot=check,
    kinds=("AlterTableStmt", "ViewStmt", "CreateFunctionStmt", "CreatePolicyStmt", "AlterPolicyStmt"),
    in_rollback=True,
)
