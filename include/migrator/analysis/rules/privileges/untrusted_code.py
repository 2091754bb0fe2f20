"""Code that the server does not hold."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity

LANGUAGES = frozenset(["c", "internal", "plpythonu", "plpython2u", "plpython3u", "plperlu", "pltclu", "plsh"])


def check(subject: Subject) -> Iterator[Hit]:
    tree = subject.statement.tree
    if subject.statement.name == "create_extension_stmt":
        if tree.extname in LANGUAGES:
            yield Hit(f"functions in {tree.extname} do what the operating system lets the server do")
        return
    if subject.statement.name == "load_stmt":
        yield Hit(f"loads a library into the server: {tree.filename}")
        return
    for item in tree.options:
        if item.def_elem.defname == "language" and item.def_elem.arg.string.sval.lower() in LANGUAGES:
            yield Hit(
                f"a function in {item.def_elem.arg.string.sval} does what the operating system lets the server do"
            )


RULE = Rule(
    id="untrusted-code",
    severity=Severity.WARNING,
    condition="CREATE FUNCTION in C or an untrusted language, CREATE EXTENSION of one, LOAD",
    effect="the code reads and writes files and other databases with the rights of the server itself",
    alternative="let the administrators of the server do it, apart from migrations",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "sql-createlanguage.html",
    statement=check,
    on=("create_function_stmt", "create_extension_stmt", "load_stmt"),
    in_rollback=True,
)
