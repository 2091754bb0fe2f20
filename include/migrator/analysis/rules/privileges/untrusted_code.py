"""Code that the server does not hold."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.spots import Spot
from migrator.plan import Severity

TRUSTED = frozenset(["sql", "plpgsql", "plperl", "pltcl", "plv8", "pllua", "plrust", "plcoffee", "plls", "java"])
"""pg_language.lanpltrusted of what is known; all others may do what the server may."""
EXTENSIONS = re.compile(
    r"(?:pl(?:python[23]?|perl|tcl|java|lua|go|r)u|plsh|plr|plcontainer|.*_plpython[23]?u|.*_plperlu)"
)


def check(spot: Spot) -> Iterator[Hit]:
    node = spot.node
    if spot.kind == "CreateExtensionStmt":
        if EXTENSIONS.fullmatch(node.extname):
            yield Hit(f"functions in {node.extname} do what the operating system lets the server do")
    elif spot.kind == "LoadStmt":
        yield Hit(f"loads a library into the server: {node.filename}")
    elif spot.kind == "CreatePLangStmt":
        if node.plname.lower() not in TRUSTED or len(node.plhandler):
            yield Hit(f"functions in {node.plname} do whatever its handler does")
    elif spot.kind == "CreateAmStmt":
        yield Hit(f"{node.amname} is read and written by the code of a library")
    else:
        for item in node.args if spot.kind == "DoStmt" else node.options:
            language = item.def_elem.arg.string.sval.lower() if item.def_elem.defname == "language" else ""
            if language and language not in TRUSTED:
                yield Hit(f"code in {language} does what the operating system lets the server do")


RULE = Rule(
    id="untrusted-code",
    severity=Severity.WARNING,
    condition="CREATE FUNCTION or DO in C, internal or an untrusted language, CREATE LANGUAGE or EXTENSION of one,"
    " CREATE ACCESS METHOD, LOAD",
    effect="the code reads and writes files and other databases with the rights of the server itself",
    alternative="let the administrators of the server do it, apart from migrations",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "sql-createlanguage.html",
    spot=check,
    kinds=("CreateFunctionStmt", "DoStmt", "CreateExtensionStmt", "CreatePLangStmt", "CreateAmStmt", "LoadStmt"),
    in_rollback=True,
)
