"""Passwords in the text of a migration."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.spots import Spot
from migrator.parsing.nodes import Node, find, name_of
from migrator.plan import Severity

IN_CONNECTION = re.compile(
    r"\b(?:ssl)?password\s*=\s*(?!\s|''|$)|\boauth_client_secret\s*=\s*\S|^\s*\w+://[^/@:]*:[^/@]+@", re.I
)
"""A password in a connection string, by keyword or in a URI."""
OPTIONS = ("password", "sslpassword", "oauth_client_secret", "secret", "secret_key", "secret_access_key", "api_key")
WHO_READS = "stands here for everybody who reads the repository, the plan and its evidence, and the server's log"


def check(spot: Spot) -> Iterator[Hit]:
    if any(_secret(text) for text in _connections(spot)):
        yield Hit(f"a connection string with a password {WHO_READS}")
    if spot.kind in ("FuncCall", "CreateSubscriptionStmt", "AlterSubscriptionStmt"):
        return
    for item in find(spot.node, "DefElem"):
        if item.defname.lower() in OPTIONS and name_of(item.arg) == "string" and item.arg.string.sval:
            yield Hit(f"a password {WHO_READS}")


def _secret(text: str) -> bool:
    return IN_CONNECTION.search(text) is not None


def _connections(spot: Spot) -> Iterator[str]:
    node = spot.node
    if spot.kind in ("CreateSubscriptionStmt", "AlterSubscriptionStmt"):
        yield node.conninfo
    elif spot.kind == "FuncCall":
        yield from (_constant(item) for item in node.args)
    elif spot.kind in ("AlterSystemStmt", "VariableSetStmt"):
        setting = node.setstmt if spot.kind == "AlterSystemStmt" else node
        yield from (_constant(item) for item in setting.args)


def _constant(item: Node) -> str:
    item = item.named_arg_expr.arg if name_of(item) == "named_arg_expr" else item
    return str(item.a_const.sval.sval) if name_of(item) == "a_const" else ""


RULE = Rule(
    id="password-in-clear-text",
    severity=Severity.WARNING,
    condition="PASSWORD in CREATE or ALTER ROLE, in the options of a server, a user mapping or a wrapper; a connection"
    " string with a password, of a subscription or for dblink_connect()",
    effect="the password is in the repository, in plans and evidence, and in the log of the server for ever",
    alternative="make the role without a password and set it by the way secrets go; name a service or a passfile",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "sql-createrole.html",
    spot=check,
    kinds=(
        "CreateRoleStmt",
        "AlterRoleStmt",
        "CreateUserMappingStmt",
        "AlterUserMappingStmt",
        "CreateForeignServerStmt",
        "AlterForeignServerStmt",
        "CreateFdwStmt",
        "AlterFdwStmt",
        "CreateForeignTableStmt",
        "CreateSubscriptionStmt",
        "AlterSubscriptionStmt",
        "AlterSystemStmt",
        "FuncCall",
    ),
    in_rollback=True,
)
