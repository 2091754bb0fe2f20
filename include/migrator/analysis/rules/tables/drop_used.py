"""DROP of something without rows that queries or other objects use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.script import Script
from migrator.analysis.walk.subject import Subject
from migrator.parsing.kinds import object_name
from migrator.parsing.nodes import Node, enum, strings
from migrator.plan import Severity

USED = (
    "OBJECT_VIEW",
    "OBJECT_FUNCTION",
    "OBJECT_PROCEDURE",
    "OBJECT_ROUTINE",
    "OBJECT_AGGREGATE",
    "OBJECT_TYPE",
    "OBJECT_DOMAIN",
    "OBJECT_SEQUENCE",
    "OBJECT_EXTENSION",
    "OBJECT_TRIGGER",
    "OBJECT_POLICY",
    "OBJECT_RULE",
    "OBJECT_FOREIGN_TABLE",
)
MAKERS: Mapping[str, str] = {
    "view_stmt": "view",
    "create_function_stmt": "funcname",
    "create_trig_stmt": "trigname",
    "create_policy_stmt": "policy_name",
    "rule_stmt": "rulename",
    "create_seq_stmt": "sequence",
    "create_enum_stmt": "type_name",
    "composite_type_stmt": "typevar",
    "create_range_stmt": "type_name",
    "create_domain_stmt": "domainname",
    "create_extension_stmt": "extname",
}
"""By statement, the field that has the name of what it makes."""


def check(script: Script) -> Iterator[Hit]:
    for index, subject in enumerate(script.subjects):
        if subject.statement.name != "drop_stmt":
            continue
        tree = subject.statement.tree
        if enum(tree, "remove_type") not in USED:
            continue
        for name in (_name(item) for item in tree.objects):
            if not _made(script, index, name, subject):
                kind = object_name(enum(tree, "remove_type")).lower()
                yield Hit(f"{kind} {name} is gone from this moment on: whoever still uses it fails", subject=subject)


def _name(item: Node) -> str:
    if item.HasField("list"):
        return ".".join(strings(item.list.items))
    if item.HasField("object_with_args"):
        return ".".join(strings(item.object_with_args.objname))
    if item.HasField("type_name"):
        return ".".join(strings(item.type_name.names))
    return str(item.string.sval)


def _made(script: Script, index: int, name: str, subject: Subject) -> bool:
    """Made earlier in the file, or made again before its transaction ends: then nobody ever misses it."""
    bare = name.rsplit(".", 1)[-1]
    for place, other in enumerate(script.subjects):
        reached = place < index or (subject.transactional and other.transaction == subject.transaction)
        if reached and other.statement.name in MAKERS and bare == _makes(other):
            return True
    return False


def _makes(subject: Subject) -> str:
    """The bare name."""
    value = getattr(subject.statement.tree, MAKERS[subject.statement.name])
    if isinstance(value, str):
        return value
    return str(value.relname) if hasattr(value, "relname") else (strings(value) or ("",))[-1]


RULE = Rule(
    id="drop-used-object",
    severity=Severity.INFO,
    condition="DROP VIEW, FUNCTION, TYPE, DOMAIN, SEQUENCE, EXTENSION, TRIGGER, POLICY or RULE without making it again",
    effect="queries that name it fail at once; a dropped trigger or policy no longer guards the rows",
    alternative="let the application stop using it first, and drop it in a later migration",
    source=DOCS + "ddl-depend.html",
    aliases=("squawk:ban-drop-view", "squawk:ban-drop-function", "squawk:ban-drop-trigger", "squawk:ban-drop-sequence"),
    script=check,
)
