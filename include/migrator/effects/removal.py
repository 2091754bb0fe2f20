"""What goes away with a column or a constraint, and what forbids that: findDependentObjects in dependency.c.

Dependencies are those of pg_depend: https://www.postgresql.org/docs/current/catalog-pg-depend.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migrator.effects.model import AX
from migrator.effects.target import Target
from migrator.facts import CatalogFacts, ObjectFacts

NORMAL = "n"
INTERNAL = "i"


def column_object(facts: CatalogFacts, relation: str, column: str) -> ObjectFacts | None:
    return next(
        (
            item
            for item in facts.objects.values()
            if item.catalog == "pg_class" and item.column and item.relation == relation and item.name == column
        ),
        None,
    )


def constraint_object(facts: CatalogFacts, relation: str, name: str) -> ObjectFacts | None:
    return next(
        (
            item
            for item in facts.objects.values()
            if item.catalog == "pg_constraint" and item.relation == relation and item.name == name
        ),
        None,
    )


def direct(facts: CatalogFacts, item: ObjectFacts) -> Iterator[tuple[ObjectFacts, str]]:
    """What depends on an object at first hand, with the kind of the dependency."""
    for edge in item.dependents:
        found = facts.objects.get(edge.key)
        if found is not None:
            yield found, edge.kind


def remove(target: Target, starts: Iterable[ObjectFacts], *, cascade: bool, what: str) -> bool:
    """Lock everything that is removed together with `starts`; fail where that needs CASCADE and has none.

    Returns whether the catalog was asked; if not, nothing was done.
    """
    facts = target.world.facts
    begin = tuple(starts)
    if facts is None or not begin:
        return False
    everything = _reached(facts, begin, through_normal=True)
    willingly = _reached(facts, begin, through_normal=False)
    gone = target.world.state
    everything = {key: item for key, item in everything.items() if not gone.get(("gone", key), False)}
    stubborn = [item for key, item in everything.items() if key not in willingly]
    if stubborn and not cascade:
        names = ", ".join(sorted({item.name or item.catalog for item in stubborn}))
        target.out.fail("2BP01", f"cannot drop {what} because other objects depend on it: {names}")
    for item in (everything if cascade else willingly).values():
        if item.relation is not None:
            target.out.lock(item.relation, AX)
    return True


def _reached(facts: CatalogFacts, starts: tuple[ObjectFacts, ...], *, through_normal: bool) -> dict[str, ObjectFacts]:
    found: dict[str, ObjectFacts] = {}
    stack = list(starts)
    while stack:
        item = stack.pop()
        if item.key in found:
            continue
        found[item.key] = item
        stack += [other for other, kind in direct(facts, item) if through_normal or kind != NORMAL]
        if item not in starts:  # a rule takes its view along, the expression of a generated column the column
            stack += [facts.objects[key] for key, kind in item.needed_by if kind == INTERNAL and key in facts.objects]
    return found
