"""Where buttons lead, and where files are looked for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.sdk.types import TaskInstanceKey

from airflow_migrator.links import EvidenceLink, ReportLink, document_page
from airflow_migrator.settings import HOME, read_settings

KEY = TaskInstanceKey("migrate_001_one", "dry_run", "manual__2026-01-01T00:00:00+00:00")


@pytest.mark.parametrize(
    "uri, page",
    [
        ("s3://aws_default@evidence/a/b.json", "https://s3.console.aws.amazon.com/s3/object/evidence?prefix=a/b.json"),
        ("gs://evidence/a.json", "https://console.cloud.google.com/storage/browser/_details/evidence/a.json"),
        ("https://files/a.json", "https://files/a.json"),
        ("file:///var/lib/a.json", None),
    ],
)
def test_documents_on_object_storage_open_in_a_browser(uri: str, page: str | None) -> None:
    assert document_page(uri) == page


def test_a_document_on_disk_is_shown_by_its_xcom() -> None:
    operator = SimpleNamespace(document_uri="file:///var/lib/a.json")
    expected = "/dags/migrate_001_one/runs/manual__2026-01-01T00%3A00%3A00%2B00%3A00/tasks/dry_run/xcom"
    assert EvidenceLink().get_link(operator, ti_key=KEY) == expected


def test_the_report_is_a_page_of_the_run() -> None:
    found = ReportLink().get_link(SimpleNamespace(), ti_key=KEY)
    assert found == "/dags/migrate_001_one/runs/manual__2026-01-01T00%3A00%3A00%2B00%3A00/plugin/migration"


def test_defaults_lie_in_the_repository(repository: Path) -> None:
    found = read_settings({})
    assert found.home == HOME == repository
    assert found.migrations == repository / "migrations"
    assert found.targets.is_file()
    assert found.cache is None


def test_the_environment_decides(tmp_path: Path) -> None:
    found = read_settings({"MIGRATOR_HOME": str(tmp_path), "MIGRATOR_CACHE": "/c", "MIGRATOR_TARGETS": "/t.yaml"})
    assert found.migrations == tmp_path / "migrations"
    assert (found.cache, found.targets) == (Path("/c"), Path("/t.yaml"))


def test_relative_locations_count_from_home(tmp_path: Path) -> None:
    found = read_settings({"MIGRATOR_HOME": str(tmp_path)})
    assert found.location("evidence") == str(tmp_path / "evidence")
    assert found.location("s3://bucket/evidence") == "s3://bucket/evidence"
    assert found.location("/var/lib/evidence") == "/var/lib/evidence"
