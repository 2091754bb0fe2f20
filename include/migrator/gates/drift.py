"""Is the schema still the one that was rehearsed on?"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from migrator.database.schema import OF_ROLES, Schema
from migrator.database.schema_diff import SchemaDiff, diff, patch
from migrator.database.vocabulary import vocabulary
from migrator.errors import DriftDetected
from migrator.evidence import (
    HALFWAY,
    ROLES_BEFORE,
    TAKES,
    DryRunEvidence,
    EvidenceBundle,
    RehearsedState,
    SnapshotRecord,
)
from migrator.gates.reach import reach_of
from migrator.gates.rehearsed import code_of, expected, is_expected, reached_by
from migrator.gates.unheard import deciding
from migrator.ledger import states
from migrator.ledger.rows import LedgerEvent, LedgerStep
from migrator.plan import Plan
from migrator.steps.contract import lasts


@dataclass(frozen=True)
class Start:
    """The schema from which a migration was rehearsed."""

    schema: Schema
    snapshot: Schema
    """The same without what others have made on the copy since."""
    exact: bool = True
    """False: others have, and there roles are not the target's."""
    roles: frozenset[str] = frozenset()
    """What those others have made, or changed the owner or the rights of: "table public.t"."""
    states: tuple[RehearsedState, ...] = ()
    """What it was while the migration was rehearsed."""
    undoing: tuple[RehearsedState, ...] = ()
    """What it was while that was taken back."""
    path: str = ""
    """Where names are looked up by default."""
    halfway: Mapping[str, Sequence[str]] | None = None
    """See `evidence.HALFWAY`."""
    takes: Mapping[str, Sequence[str]] | None = None
    """See `evidence.TAKES`."""

    @classmethod
    def of(cls, snapshot: SnapshotRecord, dry_run: DryRunEvidence | None = None) -> Start:
        """:param dry_run: without it, or where it was made on the snapshot as it is, the snapshot's."""
        before = Schema.from_dict(snapshot.schema)
        if dry_run is None:
            return cls(before, before)
        found = cls(before, before, states=dry_run.states, undoing=dry_run.undoing, path=snapshot.search_path)
        found = replace(found, halfway=dry_run.extra.get(HALFWAY), takes=dry_run.extra.get(TAKES))
        if dry_run.start is None:
            return found
        roles = frozenset(dry_run.extra.get(ROLES_BEFORE) or ())
        return replace(found, schema=Schema.from_dict(dry_run.start), exact=False, roles=roles)

    def is_there(self, now: Schema) -> bool:
        return self._of(now).fingerprint == self._of(self.schema).fingerprint

    def changes(self, now: Schema) -> SchemaDiff:
        return diff(self._of(self.schema), self._of(now))

    def _of(self, schema: Schema) -> Schema:
        return schema if self.exact else schema.portable


def start_of(bundle: EvidenceBundle) -> Start:
    return Start.of(bundle.snapshot, bundle.dry_run)


def elsewhere(now: Schema, plan: Plan, start: Start) -> SchemaDiff:
    """What others have changed since, of things that a plan with long work can neither touch nor run. Nobody can keep a
    database still for days. Pure."""
    if not lasts(plan) or not (changes := diff(start.schema, now).changes):
        return SchemaDiff(())
    reach = reach_of(plan, start.schema, start.path)
    known = start.exact  # otherwise roles are those of a copy
    return SchemaDiff(tuple(one for one in changes if reach.misses(one) and (known or one.kind not in OF_ROLES)))


def without_others(now: Schema, plan: Plan, start: Start) -> Schema:
    """`now` as if others had not done what is `elsewhere`. Pure."""
    others = elsewhere(now, plan, start).changes
    return patch(now, SchemaDiff(tuple(replace(one, before=one.after, after=one.before) for one in others)))


def require_no_drift(
    now: Schema, plan: Plan, bundle: EvidenceBundle, events: Callable[[], Iterable[LedgerEvent]] = tuple
) -> None:
    """
    :param events: asks the ledger's, which may explain the difference.
    :raises DriftDetected: with the difference: what it is about by name, and of its texts what may be told.
    """
    start = start_of(bundle)
    changes, what = start.changes(now), "the schema changed since the snapshot"
    if start.is_there(now):
        changes = _foreign_roles(start, now, plan, events)
        if not changes:
            return
        ahead = ", ".join(repr(one.version) for one in plan.ahead)
        what = f"owners or rights are not what {ahead} left, which came first; told is what differs from the snapshot"
    known = vocabulary(plan, start.snapshot)
    lines = known.named_and_rest(changes, "what changed in the schema since the snapshot")
    who = () if start.is_there(now) else explained(start, now, events())
    todo = (
        f"the ledger explains it: {', '.join(who)} came meanwhile, and nothing else has changed. clear analyze with"
        " Downstream, to have it rehearsed on what is there now"
        if who
        else "find out who did it, then run again from snapshot"
    )
    raise DriftDetected(
        f"{what}, so what was rehearsed is not what would happen now:\n" + "\n".join(lines) + f"\n{todo}",
        differences=lines,
    )


def require_as_rehearsed(now: Schema, plan: Plan, bundle: EvidenceBundle, after: str) -> None:
    """Between two steps, whoever may change a function, a default or a trigger decides what the next step runs.

    :param after: the last step that is done.
    :raises DriftDetected: the schema is not what it was on the copy after that step. Evidence that is older than this
        check says nothing.
    """
    wanted = next((state.fingerprint for state in reversed(bundle.dry_run.states) if state.step == after), None)
    if wanted is None or now.portable.fingerprint == wanted:
        return
    start, rehearsed = start_of(bundle), set(bundle.dry_run.schema_diff)
    now = without_others(now, plan, start)
    if now.portable.fingerprint == wanted:
        return
    known = vocabulary(plan, start.snapshot)
    changes = diff(start.schema.portable, now.portable)
    told = known.lines_and_rest(changes, f"what changed in the schema since step {after!r}")
    lines = tuple(line for line in told if line not in rehearsed)
    raise DriftDetected(
        f"since step {after!r} the schema is not what it was when it was rehearsed, so nobody has reviewed what the"
        " next step would run:\n" + "\n".join(lines) + "\nfind out who did it, take it back, then clear this task with"
        " Downstream; until then what is applied of it is undone, or held, as its metadata says",
        differences=lines,
    )


def require_same_code(
    now: Schema, plan: Plan, bundle: EvidenceBundle, rows: Sequence[LedgerStep], *, path: str
) -> None:
    """Of a step that is done in part: what it may run must be what it was at that very place of the rehearsal.

    :param rows: the ledger's, of the plan's steps.
    :param path: where the plan's texts look names up.
    :raises DriftDetected: functions, triggers or the like were exchanged.
    """
    lines = foreign_code(now, plan, start_of(bundle), rows, path=path)
    if not lines:
        return
    raise DriftDetected(
        "what this step may run was changed since it was rehearsed:\n"
        + "\n".join(lines)
        + "\nfind out who did it, take it back, then clear this task with Downstream",
        differences=lines,
    )


def foreign_code(
    now: Schema, plan: Plan, start: Start, rows: Sequence[LedgerStep], *, path: str, undone_in_part: bool = False
) -> tuple[str, ...]:
    """What runs by itself, or is called, and is not what the rehearsal had at the place to which the ledger says that
    the plan is applied: a line each, as far as it may be told. Names, too: the migration may have made them of rows.

    :param path: where the plan's texts look names up.
    :param undone_in_part: a way back has begun that takes effect in parts.
    """
    undoing = start.undoing if undone_in_part else None
    wanted, *others = expected(start.schema, start.states, undoing, plan, reached_by(plan, rows))
    code = code_of(without_others(now, plan, start))
    if code.fingerprint in {one.code for one in (wanted, *others)}:
        return ()
    changes = [one for one in diff(code_of(wanted.schema), code).changes if not is_expected(one, others)]
    found = changes if wanted.withheld else deciding(changes, plan, start.schema, start.path, path)
    if not found:
        return ()
    known = vocabulary(plan, start.snapshot)
    return known.lines_and_rest(SchemaDiff(tuple(found)), "what runs, and is not what it was in the rehearsal")


def explained(start: Start, now: Schema, events: Iterable[LedgerEvent]) -> tuple[str, ...]:
    """The versions that, one after the other, have made what is there now of what was there; empty when others have
    changed something, too. Pure; events come oldest first."""
    found = _came_of(start.schema.portable.fingerprint, events, states.SCHEMAS)
    return found.get(now.portable.fingerprint, ())


def left_by_those_ahead(start: Start, plan: Plan, events: Iterable[LedgerEvent]) -> str | None:
    """The fingerprint of the whole schema that all have left who come first in the window; None where the ledger does
    not tell: one of them was adopted, or is in the snapshot already."""
    ahead = {one.version for one in plan.ahead}
    found = _came_of(start.snapshot.fingerprint, _of(events, ahead), states.EXACT_SCHEMAS)
    return next((fingerprint for fingerprint, versions in reversed(found.items()) if ahead <= {*versions}), None)


def _foreign_roles(start: Start, now: Schema, plan: Plan, events: Callable[[], Iterable[LedgerEvent]]) -> SchemaDiff:
    """Owners and rights that differ from what the snapshot has and those ahead have left. Nobody knows of these what
    each role owns on the target; what they left is known by its fingerprint, or else what they have not touched is
    compared."""
    if start.exact:
        return SchemaDiff(())
    changes = diff(start.snapshot.of_roles, now.of_roles)
    left = left_by_those_ahead(start, plan, events()) if changes else None
    if left is not None:
        return SchemaDiff(()) if left == now.fingerprint else changes
    return SchemaDiff(tuple(change for change in changes.changes if change.name not in start.roles))


def _of(events: Iterable[LedgerEvent], versions: Collection[str]) -> tuple[LedgerEvent, ...]:
    return tuple(event for event in events if event.version in versions)


def _came_of(there: str, events: Iterable[LedgerEvent], key: str) -> dict[str, tuple[str, ...]]:
    """By fingerprint, the schemas that came of `there`, and through which versions. Pure; events come oldest first."""
    found: dict[str, tuple[str, ...]] = {there: ()}
    for event in events:
        before, after = event.detail.get(key) or ("", "")
        if event.kind == "verified" and event.version is not None and before in found:
            found[str(after)] = (*found[before], event.version)
    return found
