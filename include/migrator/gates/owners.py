"""Are owners and rights of what a migration does not touch still those from before it?

Which role owns what is another matter on each server, so that the schema which must come out of a migration leaves
owners out, and rights where they are given by default. What the rehearsal left alone is compared with the target's own
schema from before.
"""

from __future__ import annotations

from collections.abc import Collection

from migrator import documents
from migrator.database.schema import EXECUTOR, Schema
from migrator.database.schema_diff import Change, SchemaDiff, diff
from migrator.gates.drift import Start

RUNS_AS_OWNER = frozenset({"function", "procedure", "view", "materialized_view"})
"""To own one of these is to lend one's rights to whoever uses it."""


def rehearsed(before: Schema, after: Schema, made: Collection[str] = ()) -> list[str]:
    """What has other owners or rights, or is new, for the evidence: digests, since names may be made of rows. Pure.

    :param made: what else was made anew, under a name that was there: "table public.t".
    """
    changes = diff(before.of_roles, after.of_roles).changes
    return sorted({*(_key(change.name, after.role) for change in changes), *map(documents.digest, made)})


def changed_by_others(now: Schema, start: Start, known: Collection[str]) -> SchemaDiff:
    """What has other owners or rights than before, though the rehearsal has not changed them. Pure.

    :param known: what `rehearsed` gave on the copy.
    """
    own = {f"{change.kind} {change.name}" for change in diff(start.schema.portable, now.portable).changes}
    return SchemaDiff(
        tuple(
            change
            for change in diff(start.snapshot.of_roles, now.of_roles).changes
            if change.name not in own
            and change.name not in start.roles
            and not {_key(change.name, now.role), documents.digest(change.name)} & {*known}
            and not _taken_over(change, now.role)
        )
    )


def _key(name: str, role: str) -> str:
    """Default privileges are those of the role that executes, which has another name on a copy."""
    for quoted in (role, f'"{role}"'):
        if role and f"{name} ".startswith(f"for {quoted} "):
            return documents.digest(f"for {EXECUTOR}{name[len(quoted) + 4 :]}")
    return documents.digest(name)


def _taken_over(change: Change, role: str) -> bool:
    """By the role that executes, to which everything belongs on a copy. It gives nobody anything."""
    kind = change.name.partition(" ")[0]
    return change.kind == "owner" and change.after in (role, f'"{role}"') and kind not in RUNS_AS_OWNER
