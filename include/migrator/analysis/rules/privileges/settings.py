"""Which settings a node changes: SET, RESET and DISCARD wherever they stand, set_config(), UPDATE of pg_settings."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.walk.spots import Spot
from migrator.frozen import frozen
from migrator.parsing.nodes import Node, enum, strings
from migrator.parsing.routines import Hole, constant_of, draft_of

KINDS = ("VariableSetStmt", "FuncCall", "DiscardStmt", "UpdateStmt")
SET = "variable_set_stmt"
ALL = "all"
"""What RESET ALL and DISCARD ALL change."""


@frozen
class Change:
    name: str | None
    """In lower case; None: nobody knows it before it runs."""
    value: str | None
    """As text; None: not known."""
    back: bool = False
    """RESET or DEFAULT: to what the session began with."""
    hidden: bool = False
    """By a function call or an UPDATE, where no reader looks for it."""


def changes(spot: Spot) -> Iterator[Change]:
    node = spot.node
    if spot.kind == "VariableSetStmt":
        kind = enum(node, "kind")
        back = kind in ("VAR_RESET", "VAR_SET_DEFAULT", "VAR_RESET_ALL")
        if back and spot.around.statement.name != SET:
            return  # what a function, a role or a database has no more
        if kind == "VAR_RESET_ALL":
            yield Change(ALL, "", back=True)
        elif kind != "VAR_SET_MULTI":
            yield Change(str(node.name).lower(), None if kind == "VAR_SET_CURRENT" else _value(node), back=back)
    elif spot.kind == "DiscardStmt":
        if enum(node, "target") == "DISCARD_ALL":
            yield Change(ALL, "", back=True)
    elif spot.kind == "FuncCall":
        if strings(node.funcname) in (("set_config",), ("pg_catalog", "set_config")):
            yield from _configured(node)
    elif node.relation.relname == "pg_settings" and node.relation.schemaname in ("", "pg_catalog"):
        yield Change(None, None, hidden=True)


def _value(node: Node) -> str:
    return ", ".join(_text(item) for item in node.args)


def _text(item: Node) -> str:
    constant = item.a_const
    kind = constant.WhichOneof("val")
    if kind == "ival":
        return str(constant.ival.ival)
    if kind == "boolval":
        return "on" if constant.boolval.boolval else "off"
    return str(constant.fval.fval if kind == "fval" else constant.sval.sval)


def _configured(call: Node) -> Iterator[Change]:
    """Its arguments have no names by which a call could give them in another order."""
    if len(call.args) >= 2:
        name, value = (constant_of(item, {}) for item in call.args[:2])
        if name is not None or not _custom(call.args[0]):
            yield Change(name.lower() if name is not None else None, value, hidden=True)


def _custom(name: Node) -> bool:
    """A name with a dot in a part that is known is no setting of the server's own: 'app.' || key."""
    return any(not isinstance(part, Hole) and "." in part for part in draft_of(name, {}))
