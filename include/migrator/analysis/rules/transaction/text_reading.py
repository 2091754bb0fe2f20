"""Settings that change how the server reads the bytes of the statements after them."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import Node, find, strings
from migrator.plan import Severity

AS_IT_IS = {
    "standard_conforming_strings": ("on", "true", "yes", "1"),
    "client_encoding": ("utf8", "utf-8", "unicode"),
    "backslash_quote": (),
}
"""By name the values that every session of ours has: pg_dump writes them at the top of each of its files."""


def check(subject: Subject) -> Iterator[Hit]:
    for name, value in _set(subject):
        if name in AS_IT_IS and value not in AS_IT_IS[name]:
            yield Hit(f"{name} changes how the server reads what comes after it: not as it was analysed and reviewed")


def _set(subject: Subject) -> Iterator[tuple[str, str]]:
    tree = subject.statement.tree
    if subject.statement.name == "variable_set_stmt":
        yield str(tree.name).lower(), _text(tree.args[0]).lower() if len(tree.args) else ""
    for call in find(tree, "FuncCall"):
        if strings(call.funcname)[-1] == "set_config" and len(call.args) > 1:
            yield _text(call.args[0]).lower(), _text(call.args[1]).lower()


def _text(argument: Node) -> str:
    """A constant as it was written; "" for anything else."""
    constant = argument.a_const
    kind = constant.WhichOneof("val")
    return str(
        {"sval": constant.sval.sval, "ival": constant.ival.ival, "boolval": constant.boolval.boolval}.get(kind, "")
    )


RULE = Rule(
    id="changes-how-text-is-read",
    severity=Severity.ERROR,
    condition="SET or set_config() of standard_conforming_strings, backslash_quote or client_encoding, SET NAMES, to"
    " another value than sessions have",
    effect="one statement for the analysis may be two for the server, and text is stored in another encoding than it"
    " was written in; the engine refuses to send what comes after it",
    alternative="save the file as UTF-8, write a backslash in E'...' strings only, and take the setting out",
    without_sql="always: nothing takes its place",
    source=DOCS + "runtime-config-compatible.html#GUC-STANDARD-CONFORMING-STRINGS",
    statement=check,
    in_rollback=True,
)
