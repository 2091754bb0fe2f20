"""May a migration begin while another one, which has long work to do, is not finished?

A migration *rests* while it works in batches, or waits: then its schema stays as it is, and the ledger keeps what it
can reach. Another one may begin beside it that changes nothing of that, and touches nothing of that. Only one of them
may be between two steps that change the schema: whoever wants to go on to such a step waits until all others rest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from migrator.database.schema_diff import Change, SchemaDiff, patch
from migrator.evidence import EvidenceBundle
from migrator.gates.drift import start_of
from migrator.gates.reach import ROUTINES, TABLES, Reach, reach_of
from migrator.ledger.events import RESTS, WAITS
from migrator.ledger.rows import LedgerEvent
from migrator.plan import Plan
from migrator.steps.contract import lasts

if TYPE_CHECKING:
    from migrator.ledger.ledger import Ledger

REACH = "reach"
"""Key of the detail of the events that say that it rests; missing: nobody knows, so nothing may begin beside it."""
MOST_WORDS = 20_000


def reserved(plan: Plan, bundle: EvidenceBundle) -> Reach | None:
    """What nobody else may touch while the plan rests; None: it does not, or all of the database."""
    if not lasts(plan):
        return None
    start = start_of(bundle)
    found = reach_of(plan, start.schema, start.path)
    return None if found.everything or len(found.words) > MOST_WORDS else found


def told(reach: Reach | None) -> dict[str, Any]:
    """For the detail of an event."""
    if reach is None:
        return {}
    return {REACH: {name: sorted(getattr(reach, name)) for name in ("objects", "words", "tables")}}


def kept(events: Iterable[LedgerEvent]) -> Reach | None:
    """What a migration that rests has reserved; None: nobody knows. Pure.

    :param events: of its version, oldest first.
    """
    last = next((event for event in reversed(tuple(events)) if event.kind in (RESTS, WAITS)), None)
    if last is None or not isinstance(last.detail.get(REACH), Mapping):
        return None
    found = last.detail[REACH]
    return Reach(False, *(frozenset(map(str, found[name])) for name in ("objects", "words", "tables")))


def may_be_beside(plan: Plan, bundle: EvidenceBundle, there: Reach) -> bool:
    """Whether what the rehearsal has changed, and what the plan can touch, is out of the other one's reach. Pure."""
    start = start_of(bundle)
    own = reach_of(plan, start.schema, start.path)
    states = bundle.dry_run.states
    changes = [Change(kind, name, None, text, whole) for state in states for kind, name, text, whole in state.changes]
    after = patch(start.schema.portable, SchemaDiff(tuple(changes)))
    if own.everything or not states or after.fingerprint != states[-1].fingerprint:
        return False  # nobody can tell what it changes
    return _things(own.objects).isdisjoint(_things(there.objects)) and all(map(there.misses, changes))


def beside(plan: Plan, bundle: EvidenceBundle | None, ledger: Ledger, run_id: str) -> tuple[str, ...]:
    """The versions beside which it may begin now: all that are not finished, or none."""
    others = [row for row in ledger.all_running() if (row.version, row.run_id) != (plan.version, run_id)]
    found = []
    for row in others:
        there = kept(ledger.events(row.version)) if row.rests else None
        if bundle is None or there is None or not may_be_beside(plan, bundle, there):
            return ()
        found.append(row.version)
    return tuple(found)


def at_work(plan: Plan, ledger: Ledger) -> str | None:
    """Another version that does not rest."""
    return next((row.version for row in ledger.all_running() if row.version != plan.version and not row.rests), None)


def _things(objects: Collection[str]) -> frozenset[str]:
    return frozenset(one for one in objects if one.partition(" ")[0] in (*TABLES, *ROUTINES))
