"""Names of what a plan's own statements make on the way, though nothing of it may be left at the end. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from migrator.parsing.build import name_text
from migrator.parsing.nodes import Node, find, strings
from migrator.parsing.statements import parse
from migrator.plan import Plan

_MADE: Mapping[str, Callable[[Node], str]] = {
    "index_stmt": lambda tree: tree.idxname,
    "create_trig_stmt": lambda tree: tree.trigname,
    "rule_stmt": lambda tree: tree.rulename,
    "create_policy_stmt": lambda tree: tree.policy_name,
    "create_function_stmt": lambda tree: strings(tree.funcname)[-1],
    "view_stmt": lambda tree: tree.view.relname,
    "create_table_as_stmt": lambda tree: tree.into.rel.relname,
    "create_stmt": lambda tree: tree.relation.relname,
    "create_domain_stmt": lambda tree: strings(tree.domainname)[-1],
    "create_enum_stmt": lambda tree: strings(tree.type_name)[-1],
    "create_range_stmt": lambda tree: strings(tree.type_name)[-1],
    "define_stmt": lambda tree: strings(tree.defnames)[-1],
    "create_stats_stmt": lambda tree: strings(tree.defnames)[-1],
    "create_event_trig_stmt": lambda tree: tree.trigname,
}


def made_by(plan: Plan) -> frozenset[str]:
    """Last parts of names, as the catalog prints them, of functions without their arguments."""
    return frozenset(name_text(name) for name in _names(plan) if name)


def is_one_of(names: frozenset[str], name: str) -> bool:
    """Whether the object of a schema is one of them: "public.t.trigger", "public.f(integer)"."""
    bare = name.partition("(")[0]
    return any(bare == one or bare.endswith(f".{one}") for one in names)


def _names(plan: Plan) -> Iterator[str]:
    for step in (*plan.steps, *plan.rollback_steps):
        for statement in step.statements:
            for parsed in parse(statement.sql, file=statement.file).statements:
                if parsed.name in _MADE:
                    yield _MADE[parsed.name](parsed.tree)
                yield from (one.conname for one in find(parsed.node, "Constraint"))
