"""Row level security that hides less than it did."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.privileges.roles import called
from migrator.analysis.walk.spots import Spot
from migrator.parsing.nodes import Node, copy_of, enum, flag, name_of, option, strings
from migrator.plan import Severity

OFF = {
    "AT_DisableRowSecurity": "policies of {} are off: whoever may read it reads every row",
    "AT_NoForceRowSecurity": "policies of {} do not bind its owner any more, nor what runs with the owner's rights",
}


_OWNERS = "{} reads with the rights of its owner, and under the owner's policies"


def check(spot: Spot) -> Iterator[Hit]:
    node = spot.node
    if spot.kind == "AlterTableStmt":
        table = spot.world.name(node.relation)
        for item in node.cmds:
            words = OFF.get(enum(item.alter_table_cmd, "subtype")) or _as_owner(item.alter_table_cmd)
            if words is not None:
                yield Hit(words.format(table), severity=Severity.INFO if spot.world.is_certainly_new(table) else None)
    elif spot.kind in ("CreateFunctionStmt", "AlterFunctionStmt"):
        if flag(node.options if spot.kind == "CreateFunctionStmt" else node.actions, "leakproof", False):
            yield Hit("a LEAKPROOF function is asked before the policies: it sees rows that they hide")
    elif spot.kind == "DropStmt":
        if enum(node, "remove_type") == "OBJECT_POLICY":
            for item in node.objects:
                table, name = strings(item.list.items)[-2:]
                severity = Severity.INFO if _made_again(name, table, spot) else None
                yield Hit(f"the policy {name} is gone: what a restrictive one hid is seen", severity=severity)
    elif spot.kind == "AlterPolicyStmt" or node.permissive:
        table = spot.world.name(node.table)
        if spot.kind == "AlterPolicyStmt" and len(node.roles):
            yield _for_others(node, table)
        for field, words in (("qual", "lets everybody whom it is for see"), ("with_check", "write")):
            if node.HasField(field) and _true(getattr(node, field)):
                words = words if field == "qual" else f"lets everybody whom it is for {words}"
                severity = Severity.INFO if spot.world.is_certainly_new(table) else None
                yield Hit(f"the policy {node.policy_name} of {table} {words} every row", severity=severity)


def _for_others(node: Node, table: str) -> Hit:
    """Whom it was for before, no catalog here tells."""
    specs = [item.role_spec for item in node.roles]
    everybody = any(enum(spec, "roletype") == "ROLESPEC_PUBLIC" for spec in specs)
    who = "every role" if everybody else ", ".join(map(called, specs))
    return Hit(
        f"the policy {node.policy_name} of {table} is for {who} from now on: what a permissive one shows is theirs, and"
        " whom a restrictive one leaves out it binds no more"
    )


def _as_owner(command: Node) -> str | None:
    """ALTER VIEW, where it reads with its owner's rights from then on."""
    subtype, options = enum(command, "subtype"), getattr(command, "def").list.items
    if subtype == "AT_SetRelOptions" and not flag(options, "security_invoker", True):
        return _OWNERS
    return _OWNERS if subtype == "AT_ResetRelOptions" and option(options, "security_invoker") is not None else None


def _made_again(name: str, table: str, spot: Spot) -> bool:
    """CREATE POLICY knows no OR REPLACE; the new one is looked at by itself."""
    made = (item.tree for item in spot.around.script.parsed.statements if item.name == "create_policy_stmt")
    return any((tree.policy_name, tree.table.relname) == (name, table) for tree in made)


def _true(node: Node) -> bool:
    """A condition that is true for each row."""
    kind = name_of(node)
    if kind == "a_const":
        return bool(node.a_const.boolval.boolval)
    if kind == "type_cast":
        constant = node.type_cast.arg.a_const
        return bool(constant.boolval.boolval) or constant.sval.sval.lower() in ("t", "true", "on", "yes", "y", "1")
    if kind == "a_expr" and strings(node.a_expr.name)[-1:] == ("=",):
        return _equal(node.a_expr)
    if kind == "bool_expr":
        parts = [_true(item) for item in node.bool_expr.args]
        how = enum(node.bool_expr, "boolop")
        return any(parts) if how == "OR_EXPR" else how == "AND_EXPR" and all(parts)
    return False


def _equal(node: Node) -> bool:
    """Of one constant with itself; NULL = NULL is true of no row."""
    sides = [copy_of(side) for side in (node.lexpr, node.rexpr) if name_of(side) == "a_const"]
    for side in sides:
        side.a_const.location = 0
    if len(sides) < 2 or sides[0] != sides[1]:
        return False
    how = enum(node, "kind")
    return how == "AEXPR_NOT_DISTINCT" or (how == "AEXPR_OP" and not sides[0].a_const.isnull)


RULE = Rule(
    id="loosens-row-security",
    severity=Severity.WARNING,
    condition="DISABLE or NO FORCE ROW LEVEL SECURITY, DROP POLICY, ALTER POLICY ... TO, a permissive policy that is"
    " true for every row, security_invoker taken from a view, LEAKPROOF",
    effect="rows that were hidden from a role are its from the moment of the commit on",
    alternative="make the new policy first, for the roles that it is for, and drop the old one in the same transaction",
    without_sql="always: which rows a role may see is a decision",
    source=DOCS + "ddl-rowsecurity.html",
    spot=check,
    kinds=(
        "AlterTableStmt",
        "DropStmt",
        "CreatePolicyStmt",
        "AlterPolicyStmt",
        "CreateFunctionStmt",
        "AlterFunctionStmt",
    ),
    in_rollback=True,
)
