"""Do texts still mean what they meant: by the same role and names, to a target that stores values as it did?"""

from __future__ import annotations

from migrator.database import meanings, naming
from migrator.database.session import Connection, Endpoint
from migrator.errors import DriftDetected
from migrator.evidence import SnapshotRecord
from migrator.plan import Plan


def require_same(conn: Connection, snapshot: SnapshotRecord) -> None:
    """:raises DriftDetected: with what is set otherwise."""
    lines = meanings.changed(conn, snapshot.settings)
    if lines:
        raise DriftDetected(
            "settings changed since the snapshot, so what was rehearsed is not what would happen now:\n"
            + "\n".join(lines)
            + "\nput them back, or run again from snapshot",
            differences=lines,
        )


def otherwise(plan: Plan, endpoint: Endpoint, *, by_role: bool = True) -> str:
    """How the target is configured otherwise than it was for the plan; empty: it is not. Pure.

    :param by_role: whether `endpoint` has the target's role; a copy has one of its own.
    """
    known = plan.acts_as
    if known is None:
        return ""
    found = []
    if naming.names_in(known.search_path) != naming.names_in(endpoint.search_path):
        found.append(f"search_path is {endpoint.search_path!r} and was {known.search_path!r}")
    if by_role and known.role != endpoint.role:
        found.append(f"role is {endpoint.role or 'that of the login'!r} and was {known.role or 'that of the login'!r}")
    if not found:
        return ""
    return (
        f"target {plan.target!r} is configured otherwise than when {plan.version!r} was analysed and reviewed:"
        f" {'; '.join(found)}. its texts would be about other tables, or run with other rights"
    )


def require_as_planned(
    plan: Plan, endpoint: Endpoint, *, by_role: bool = True, then: str = "run it again from analyze"
) -> None:
    """:raises DriftDetected: with what is configured otherwise."""
    if told := otherwise(plan, endpoint, by_role=by_role):
        raise DriftDetected(f"{told}. put it back in targets.yaml, or {then}", differences=(told,))
