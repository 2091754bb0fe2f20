"""What CREATE RULE makes of INSERT, UPDATE and DELETE: other statements that run with them, or instead of them.

fireRules and RewriteQuery in src/backend/rewrite/rewriteHandler.c: https://www.postgresql.org/docs/current/rules-update.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

from migrator.analysis.effects.model import Recorder
from migrator.analysis.effects.names.named import bare
from migrator.analysis.effects.world import World
from migrator.facts.facts import RelationFacts, RuleFacts
from migrator.lock_modes import AS as ACCESS_SHARE
from migrator.lock_modes import RX
from migrator.parsing.nodes import Node, content, find, name_of, strings

EVENTS = {"InsertStmt": "INSERT", "UpdateStmt": "UPDATE", "DeleteStmt": "DELETE"}
Opened = Callable[[str, str, World, Recorder], None]
_FIRES = "OA"
"""pg_rewrite.ev_enabled of rules that run in an ordinary session."""


@lru_cache(maxsize=1024)
def rule_node(definition: str) -> Node | None:
    """The RuleStmt that pg_get_ruledef() has printed."""
    from migrator.parsing.statements import parse

    parsed = parse(definition, file="catalog")
    return parsed.statements[0].tree if len(parsed.statements) == 1 else None


def rules_of(facts: RelationFacts | None, event: str) -> tuple[RuleFacts, ...]:
    """Those that such a statement fires."""
    if facts is None or not facts.rules:
        return ()
    return tuple(rule for rule in facts.rules if rule.event == event and rule.enabled in _FIRES)


def replaces(rule: RuleFacts) -> bool:
    """DO INSTEAD without a condition: the statement itself does not run."""
    node = rule_node(rule.definition)
    return rule.instead and (node is None or not name_of(node.where_clause))


def replaced(facts: RelationFacts | None, event: str) -> bool:
    return any(replaces(rule) for rule in rules_of(facts, event))


def actions(rule: RuleFacts) -> tuple[Node, ...] | None:
    """The statements of a rule; none of DO NOTHING. None: its text is not known."""
    node = rule_node(rule.definition)
    return tuple(node.actions) if node is not None else None


def statements_of(stmt: Node, world: World) -> list[Node]:
    """What runs with a change or in its place, as far as it is known."""
    event = EVENTS.get(stmt.DESCRIPTOR.name, "")
    every = rules_of(world.relation(world.name(stmt.relation)), event)
    return [action for rule in every for action in actions(rule) or ()]


def changes(stmt: Node, kind: str, world: World) -> Iterator[tuple[str, str]]:
    """Kind and table of what a change comes to once rules have been applied."""
    seen: set[tuple[str, str]] = set()
    stack = [(kind, stmt)]
    while stack:
        kind, current = stack.pop()
        table = world.name(current.relation)
        if (kind, table) in seen:
            continue
        seen.add((kind, table))
        if not replaced(world.relation(table), kind):
            yield kind, table
        for action in map(content, statements_of(current, world)):
            if action.DESCRIPTOR.name in EVENTS:
                stack.append((EVENTS[action.DESCRIPTOR.name], action))


def fired(stmt: Node, world: World, out: Recorder, running: set[tuple[str, str]], opened: Opened) -> Iterator[Node]:
    """The statements that run with a change, or in its place.

    :param running: table and rule of what is followed already.
    :param opened: `queries.opened`, which locks a relation and all that a view reads.
    """
    name = world.name(stmt.relation)
    facts = world.relation(name)
    event = EVENTS.get(stmt.DESCRIPTOR.name)
    if facts is None or not facts.rules:
        return
    if event is None:
        out.fail("0A000", f'cannot execute MERGE on relation "{bare(name)}": it has rules')
        return
    if event == "INSERT" and stmt.HasField("on_conflict_clause") and _rules(facts, "INSERT", "UPDATE"):
        out.fail("0A000", "INSERT with ON CONFLICT clause cannot be used with table that has INSERT or UPDATE rules")
    _returns(stmt, facts, event, out)
    for rule in rules_of(facts, event):
        found = actions(rule)
        if found is None:
            out.assume(f"rule {rule.name} on {facts.name} runs with it: it is not followed")
        elif (name, rule.name) in running and found:
            out.fail("42P17", f'infinite recursion detected in rules for relation "{bare(name)}"')
        else:
            running.add((name, rule.name))
            for action in found:
                _reads_old(action, facts, event, world, out, opened)
                _takes_defaults(stmt, action, facts, event, out)
            yield from found


def _rules(facts: RelationFacts, *events: str) -> bool:
    return any(rules_of(facts, event) for event in events)


def in_with(stmt: Node, world: World, out: Recorder) -> None:
    """WITH takes only changes that stay one statement."""
    event = EVENTS.get(stmt.DESCRIPTOR.name, "")
    for rule in rules_of(world.relation(world.name(stmt.relation)), event):
        found = actions(rule)
        if found is not None and (not replaces(rule) or len(found) != 1):
            what = "DO ALSO, conditional, multi-statement and DO INSTEAD NOTHING rules"
            out.fail("0A000", f"{what} are not supported for data-modifying statements in WITH")


def _returns(stmt: Node, facts: RelationFacts, event: str, out: Recorder) -> None:
    """RETURNING needs a rule that says what is returned."""
    if not len(stmt.returning_clause.exprs) or not replaced(facts, event):
        return
    found = [content(action) for rule in rules_of(facts, event) for action in actions(rule) or ()]
    if not any(any(True for _ in find(action, "ReturningClause")) for action in found):
        out.fail("0A000", f'cannot perform {event} RETURNING on relation "{bare(facts.name)}"')


def _reads_old(action: Node, facts: RelationFacts, event: str, world: World, out: Recorder, opened: Opened) -> None:
    """OLD is the relation as it was, and so is NEW where UPDATE leaves a column alone: of a view, what it reads."""
    words = {"DELETE": ("old",), "UPDATE": ("old", "new")}.get(event, ())
    if facts.kind == "v" and any(strings(item.fields)[0] in words for item in find(action, "ColumnRef")):
        for read in facts.reads:
            opened(read, ACCESS_SHARE, world, out)


def _takes_defaults(stmt: Node, action: Node, facts: RelationFacts, event: str, out: Recorder) -> None:
    """NEW.column of an INSERT that does not give the column is its default."""
    if event != "INSERT":
        return
    given = {item.res_target.name for item in stmt.cols}
    for item in find(action, "ColumnRef"):
        parts = strings(item.fields)
        known = facts.columns.get(parts[-1]) if parts[0] == "new" else None
        if known is not None and given and parts[-1] not in given:
            for sequence in known.sequences:
                out.lock(sequence, RX)
