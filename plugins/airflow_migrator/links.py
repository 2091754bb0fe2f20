"""Buttons on the task's page: from a stage to its document, and to the report of the whole run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import attrs
from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey


DAG_PREFIX = "migrate_"
"""What the id of a migration's DAG begins with; its version follows."""


def task_page(dag_id: str, run_id: str, task_id: str, tab: str = "") -> str:
    """A task instance's page of this Airflow, relative to the server that shows the link."""
    return f"/dags/{quote(dag_id)}/runs/{quote(run_id)}/tasks/{quote(task_id)}" + (f"/{tab}" if tab else "")


PAGE = "migration"
"""Name of the plugin's tab of a run in the address."""


def report_page(dag_id: str, run_id: str) -> str:
    """The run's tab Migration, relative to the server."""
    return f"/dags/{quote(dag_id)}/runs/{quote(run_id)}/plugin/{PAGE}"


def document_page(uri: str) -> str | None:
    """The web page on which a browser can read the document, or None when it lies on a disk."""
    parts = urlsplit(uri)
    if parts.scheme in ("http", "https"):
        return uri
    bucket, key = parts.netloc.rpartition("@")[2], parts.path.lstrip("/")
    if parts.scheme == "s3":
        return f"https://s3.console.aws.amazon.com/s3/object/{bucket}?prefix={quote(key)}"
    if parts.scheme in ("gs", "gcs"):
        return f"https://console.cloud.google.com/storage/browser/_details/{bucket}/{quote(key)}"
    return None


@attrs.define()
class EvidenceLink(BaseOperatorLink):
    """To the stage's document: on object storage if a browser can open it there, else to its XCom."""

    name = "Evidence"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        uri = getattr(operator, "document_uri", None)
        return (document_page(uri) if uri else None) or task_page(ti_key.dag_id, ti_key.run_id, ti_key.task_id, "xcom")


@attrs.define()
class ReportLink(BaseOperatorLink):
    """To the run's page: what happened, what was proved, and what the ledger says at the end."""

    name = "Migration report"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        return report_page(ti_key.dag_id, ti_key.run_id)
