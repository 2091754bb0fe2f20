"""Settings that change how the server reads the bytes of the statements after them."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import Node, find, strings
from migrator.plan import Severity

READING = frozenset(["standard_conforming_strings", "client_encoding", "names", "backslash_quote"])


def check(subject: Subject) -> Iterator[Hit]:
    for name in sorted(set(_set(subject)) & READING):
        yield Hit(f"{name} changes how the server reads what comes after it: not as it was analysed and reviewed")


def _set(subject: Subject) -> Iterator[str]:
    tree = subject.statement.tree
    if subject.statement.name == "variable_set_stmt":
        yield str(tree.name).lower()
    for call in find(tree, "FuncCall"):
        if strings(call.funcname)[-1] == "set_config" and len(call.args):
            yield _text(call.args[0]).lower()


def _text(argument: Node) -> str:
    return str(argument.a_const.sval.sval) if argument.HasField("a_const") else ""


RULE = Rule(
    id="changes-how-text-is-read",
    severity=Severity.ERROR,
    condition="SET or set_config() of standard_conforming_strings, backslash_quote or client_encoding, SET NAMES",
    effect="one statement for the analysis may be two for the server, and text is stored in another encoding than it"
    " was written in; the engine refuses to send what comes after it",
    alternative="save the file as UTF-8, write a backslash in E'...' strings only, and take the setting out",
    without_sql="always: nothing takes its place",
    source=DOCS + "runtime-config-compatible.html#GUC-STANDARD-CONFORMING-STRINGS",
    statement=check,
    in_rollback=True,
)
