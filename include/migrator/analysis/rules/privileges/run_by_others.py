"""Functions that nobody calls by name: an index, a CHECK, a default, a generated column, a policy, a rule, a view or a
trigger does, for whoever comes there. ANALYZE and autovacuum run those of an index as the owner of its table.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping

from migrator.analysis.effects.names import routines
from migrator.analysis.walk.script import Script
from migrator.analysis.walk.spots import Spot
from migrator.analysis.walk.subject import Subject
from migrator.facts.facts import FunctionFacts
from migrator.parsing.nodes import Node, enum, find, name_of, strings
from migrator.parsing.routines import body_of, contents_of
from migrator.parsing.statements import parse

_CALLED_BY_NAME = """
alter_function_stmt alter_owner_stmt call_stmt comment_stmt copy_stmt create_function_stmt delete_stmt do_stmt
drop_stmt execute_stmt explain_stmt grant_stmt insert_stmt merge_stmt prepare_stmt rename_stmt select_stmt update_stmt
"""
CALLED_BY_NAME = frozenset(_CALLED_BY_NAME.split())
"""What runs a function now and never again, makes one, or is about it."""


def user_of(spot: Spot) -> str:
    """What runs the function that the spot stands in, whoever comes; "": nothing that is known."""
    script, made = spot.around.script, spot.around.script.parsed.statements[spot.around.index]
    if made.name != "create_function_stmt":
        return ""
    bare = strings(made.tree.funcname)[-1]
    used = _used(script).get(bare)
    if used is not None:
        return f"{used.statement.kind} in line {used.statement.line}"
    old = routines.same(made.tree, spot.world)
    every = [old] if old is not None else []
    every += [one for _, one in above(bare, spot)]
    return next((user for one in every for user in (*one.restored, *one.used)), "")


def half_known(script: Script) -> Iterator[tuple[str, Subject]]:
    """Functions that were there before, of which a part is known only when they run; what uses them from now on."""
    made = {strings(one.statement.tree.funcname)[-1] for one in _makers(script)}
    for bare, subject in _used(script).items():
        known = subject.world.functions((bare,)) if bare not in made else ()
        if any(_is_open(one.body) for one in known if one.body):
            yield bare, subject


def _makers(script: Script) -> Iterator[Subject]:
    return (one for one in script.subjects if one.statement.name == "create_function_stmt")


def _used(script: Script) -> Mapping[str, Subject]:
    """By bare name, also of what such a function calls: the first statement that has it called."""
    memo = script.subjects[0].memo if script.subjects else {}
    if __name__ not in memo:
        memo[__name__] = _found(script)
    found: Mapping[str, Subject] = memo[__name__]
    return found


def _found(script: Script) -> Mapping[str, Subject]:
    bodies: dict[str, set[str]] = {}
    for maker in _makers(script):
        words = bodies.setdefault(strings(maker.statement.tree.funcname)[-1], set())
        words |= _words(maker.statement.sql)
    if script.subjects and (facts := script.subjects[0].world.facts) is not None:
        for bare, group in facts.functions.items():
            for one in group:
                bodies.setdefault(bare, set()).update(_words(one.body))
    found: dict[str, Subject] = {}
    for subject in script.subjects:
        todo = [name for name in _names(subject) if name in bodies]
        while todo:
            name = todo.pop()
            if name not in found:
                found[name] = subject
                todo += [word for word in bodies[name] if word in bodies]
    return found


def _names(subject: Subject) -> Iterator[str]:
    """Of functions that the statement's expressions call, and that it names as what is to run."""
    if subject.statement.name in CALLED_BY_NAME:
        return
    tree = subject.statement.tree
    if subject.statement.name == "create_table_as_stmt" and enum(tree, "objtype") != "OBJECT_MATVIEW":
        return
    for node in _parts(subject):
        for call in find(node, "FuncCall", "CreateTrigStmt", "CreateEventTrigStmt"):
            yield strings(call.funcname)[-1]
        for item in find(node, "ObjectWithArgs"):
            yield from strings(item.objname)[-1:]
        for item in find(node, "DefElem"):
            if name_of(item.arg) == "type_name":
                yield from strings(item.arg.type_name.names)[-1:]


def _parts(subject: Subject) -> Iterator[Node]:
    """Without the USING of ALTER COLUMN TYPE, which runs now."""
    if subject.statement.name != "alter_table_stmt":
        yield subject.statement.node
        return
    for item in subject.statement.tree.cmds:
        if enum(item.alter_table_cmd, "subtype") != "AT_AlterColumnType":
            yield item.alter_table_cmd


def above(bare: str, spot: Spot) -> Iterator[tuple[str, FunctionFacts]]:
    """Functions of the catalog by name that may call it, whatever is between them."""
    known = spot.world.facts.functions if spot.world.facts is not None else {}
    found, size = {bare}, 0
    while size != len(found):
        size = len(found)
        found |= {name for name, group in known.items() if any(found & _words(one.body) for one in group)}
    return ((name, one) for name in sorted(found - {bare}) for one in known[name])


def _is_open(definition: str) -> bool:
    bodies = map(body_of, parse(definition, file="catalog").statements)
    return any(draft.open for body in bodies if body is not None for draft in contents_of(body).drafts)


@functools.lru_cache(maxsize=4096)
def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text))
