"""Run in a process of its own, with the FAB auth manager configured: prints as JSON what a user of each role may do.

python fab_rights.py DAG_ID ROLE...
"""

from __future__ import annotations

import json
import sys

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

QUESTIONS = {
    "see the DAG": ("GET", None),
    "see runs": ("GET", DagAccessEntity.RUN),
    "see tasks": ("GET", DagAccessEntity.TASK_INSTANCE),
    "see evidence": ("GET", DagAccessEntity.XCOM),
    "read logs": ("GET", DagAccessEntity.TASK_LOGS),
    "see reviews": ("GET", DagAccessEntity.HITL_DETAIL),
    "answer reviews": ("PUT", DagAccessEntity.HITL_DETAIL),
    "trigger": ("POST", DagAccessEntity.RUN),
    "mark runs": ("PUT", DagAccessEntity.RUN),
    "clear and mark tasks": ("PUT", DagAccessEntity.TASK_INSTANCE),
    "edit evidence": ("PUT", DagAccessEntity.XCOM),
    "delete the DAG": ("DELETE", None),
}


def main() -> None:
    dag_ids, *roles = sys.argv[1:]
    found: dict[str, dict[str, list[str]]] = {dag_id: {} for dag_id in dag_ids.split(",")}
    with get_application_builder() as builder:
        manager = get_auth_manager()
        for role in roles:
            member_of = builder.sm.find_role(role) or builder.sm.add_role(role)
            user = builder.sm.add_user(role, role, role, f"{role}@wakala.com", member_of, "secret")
            for dag_id, rights in found.items():
                rights[role] = [
                    question
                    for question, (method, entity) in QUESTIONS.items()
                    if manager.is_authorized_dag(
                        method=method, user=user, access_entity=entity, details=DagDetails(id=dag_id)
                    )
                ]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
