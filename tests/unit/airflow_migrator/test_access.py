"""Which rights of which DAG go to which role, and that nothing is said to auth managers that know no roles."""

from __future__ import annotations

import pytest

from airflow_migrator.access import access_control, operations_access
from airflow_migrator.building.catalogue_dags import build_dags
from airflow_migrator.settings import Settings
from migrator.targets.targets import Roles
from tests.unit.airflow_migrator.conftest import TARGETS, Write

FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
ROLES = Roles(viewers=("guests",), reviewers=("dba",), operators=("oncall", "dba"))


@pytest.fixture
def fab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__AUTH_MANAGER", FAB)


@pytest.mark.usefixtures("fab")
def test_one_role_may_be_of_two_kinds() -> None:
    assert access_control(ROLES) == {
        "guests": {"DAGs": {"can_read"}, "DAG Runs": {"can_read"}},
        "dba": {"DAGs": {"can_read", "can_edit"}, "DAG Runs": {"can_read", "can_create"}},
        "oncall": {"DAGs": {"can_read", "can_edit"}, "DAG Runs": {"can_read", "can_create"}},
    }


@pytest.mark.usefixtures("fab")
def test_without_roles_airflows_own_decide() -> None:
    assert access_control(Roles()) is None


def test_other_auth_managers_know_no_roles() -> None:
    assert access_control(ROLES) is None


@pytest.mark.usefixtures("fab")
def test_the_targets_file_names_the_roles(settings: Settings, write: Write) -> None:
    write("001_one")
    settings.targets.write_text(TARGETS + "roles:\n  reviewers: [dba]\n")
    dag = build_dags(None, settings=settings)["migrate_001_one"]
    assert dag.access_control == {"dba": {"DAGs": {"can_read", "can_edit"}, "DAG Runs": {"can_read"}}}


@pytest.mark.usefixtures("fab")
def test_nobody_reviews_in_the_operational_dags(settings: Settings) -> None:
    settings.targets.write_text(TARGETS + "roles:\n  reviewers: [dba]\n  operators: [oncall]\n")
    assert operations_access(settings) == {
        "dba": {"DAGs": {"can_read"}, "DAG Runs": {"can_read"}},
        "oncall": {"DAGs": {"can_read", "can_edit"}, "DAG Runs": {"can_read", "can_create"}},
    }


@pytest.mark.usefixtures("fab")
def test_a_broken_targets_file_keeps_no_operational_dag_away(settings: Settings) -> None:
    settings.targets.write_text("targets: [")
    assert operations_access(settings) is None
