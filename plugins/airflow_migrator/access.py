"""Who may see, review and run the migrations' DAGs, for Airflow's FAB auth manager.

A DAG's `access_control` gives roles access to this DAG alone. What they may do with runs, tasks and reviews in general
is a matter of the roles: include/config/airflow-roles.json makes three for which both together are right. Reviewers
edit HITL details and neither task instances nor runs; operators the other way round. The engine asks the ledger all
the same: whoever marks a review as success has approved nothing.
"""

from __future__ import annotations

from dataclasses import replace

from airflow.sdk import conf

from airflow_migrator.settings import Settings, read_settings
from migrator.errors import InvalidInput
from migrator.targets.targets import Roles

Access = dict[str, dict[str, set[str]]]
"""As DAG(access_control=...) wants it: by role, then by resource, the actions."""

SEE: dict[str, set[str]] = {"DAGs": {"can_read"}, "DAG Runs": {"can_read"}}
# FAB wants the DAG's edit right of whoever changes anything below it, be it an answer to a review.
REVIEW: dict[str, set[str]] = {"DAGs": {"can_read", "can_edit"}, "DAG Runs": {"can_read"}}
OPERATE: dict[str, set[str]] = {"DAGs": {"can_read", "can_edit"}, "DAG Runs": {"can_read", "can_create"}}


def access_control(roles: Roles) -> Access | None:
    """None, so that nothing is passed, unless the FAB auth manager is at work and targets.yaml names roles."""
    if not _fab():
        return None
    found: Access = {}
    for names, rights in ((roles.viewers, SEE), (roles.reviewers, REVIEW), (roles.operators, OPERATE)):
        for name in names:
            mine = found.setdefault(name, {})
            for resource, actions in rights.items():
                mine[resource] = mine.get(resource, set()) | actions
    return found or None


def operations_access(settings: Settings | None = None) -> Access | None:
    """The same for the operational DAGs, where nobody reviews: all see them, operators run them. A targets file that
    cannot be read leaves things as they are; the migrations' own import error tells of it."""
    from migrator.targets.targets_model import load_targets

    if not _fab():
        return None
    try:
        roles = load_targets((settings or read_settings()).targets).roles
    except InvalidInput:
        return None
    return access_control(replace(roles, viewers=roles.viewers + roles.reviewers, reviewers=()))


def _fab() -> bool:
    """As Airflow itself asks it (airflow.dag_processing.collection)."""
    return "FabAuthManager" in (conf.get("core", "auth_manager", fallback="") or "")
