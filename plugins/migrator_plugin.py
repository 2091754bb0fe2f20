"""The Airflow plugin: names what Airflow must know before it sees a DAG. Loaded twice in each process, so it has no
state, no heavy import, and no side effect but one that twice is once (`cards.watch`)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from airflow.plugins_manager import AirflowPlugin
from airflow.sdk import conf

from airflow_migrator.cards import watch
from airflow_migrator.links import PAGE, EvidenceLink, ReportLink
from airflow_migrator.timetable import ByHandTimetable, MaintenanceWindowTimetable

URL_PREFIX = "/migrator"


async def web(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Loads the application with the first request: only the API server ever has one, but every task loads plugins."""
    from airflow_migrator.ui.app import app

    await app(scope, receive, send)


class MigratorPlugin(AirflowPlugin):
    name = "migrator"

    @classmethod
    def on_load(cls, *_: Any, **__: Any) -> None:
        watch()

    timetables = [ByHandTimetable, MaintenanceWindowTimetable]  # noqa: RUF012  the interface of AirflowPlugin
    operator_extra_links = [EvidenceLink(), ReportLink()]  # noqa: RUF012
    fastapi_apps = [{"app": web, "url_prefix": URL_PREFIX, "name": "migrator"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {
            "name": "Migration",
            "href": urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
            + URL_PREFIX
            + "/dags/{DAG_ID}/runs/{RUN_ID}",
            "destination": "dag_run",
            "url_route": PAGE,
        }
    ]
