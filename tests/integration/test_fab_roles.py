"""The roles of a deployment with the FAB auth manager: who may review may not run, and the other way round."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from psycopg.conninfo import conninfo_to_dict

from migrator.database.session import Endpoint

pytest.importorskip("airflow.providers.fab", reason="apache-airflow-providers-fab is not installed")

SEES = ["see the DAG", "see runs", "see tasks", "see evidence", "read logs", "see reviews"]
MAY = {
    "migration_viewer": SEES,
    "migration_reviewer": [*SEES, "answer reviews"],
    "migration_operator": [*SEES, "trigger", "mark runs", "clear and mark tasks"],
    # A role that nobody named.
    "stranger": [],
}


@pytest.fixture
def environment(tmp_path: Path, database: Endpoint, repository: Path) -> dict[str, str]:
    """An Airflow with the FAB auth manager, set up by the commands of docker-compose.yaml."""
    home, metadata = tmp_path, conninfo_to_dict(database.conninfo)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "MIGRATOR_"))}
    environment = {
        **inherited,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "AIRFLOW__CORE__DAGS_FOLDER": str(repository / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(repository / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": (
            "postgresql+psycopg://{user}:{password}@{host}:{port}/{dbname}".format(**metadata)
        ),
        "MIGRATOR_HOME": str(repository),
        "MIGRATOR_CACHE": str(home / "cache"),
    }
    run(environment, "-m", "airflow", "db", "migrate")
    run(environment, "-m", "airflow", "roles", "import", str(repository / "include" / "config" / "airflow-roles.json"))
    run(environment, "-m", "airflow", "dags", "reserialize")
    return environment


def run(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, f"{arguments}: {done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.mark.thorough
@pytest.mark.timeout(1800)
def test_reviewers_review_and_operators_operate(environment: dict[str, str]) -> None:
    """And nobody reviews anything in the operational DAGs."""
    script = str(Path(__file__).with_name("fab_rights.py"))
    printed = run(environment, script, "migrate_001_add_analytics_tables,housekeeping,missed_windows", *MAY)
    found = json.loads(printed.splitlines()[-1])
    assert found["migrate_001_add_analytics_tables"] == MAY
    for dag_id in ("housekeeping", "missed_windows"):
        assert found[dag_id] == {**MAY, "migration_reviewer": SEES}


def test_every_role_of_the_targets_file_is_made(repository: Path) -> None:
    config = repository / "include" / "config"
    named = yaml.safe_load((config / "targets.yaml").read_text())["roles"]
    made = {entry["name"] for entry in json.loads((config / "airflow-roles.json").read_text())}
    assert {role for roles in named.values() for role in roles} == made
