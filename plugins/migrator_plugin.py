"""The Airflow plugin: names what Airflow must know before it sees a DAG. Loaded twice in each process, so it has no
state, no side effects and no heavy import."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from airflow_migrator.links import EvidenceLink, LedgerLink
from airflow_migrator.timetable import MaintenanceWindowTimetable


class MigratorPlugin(AirflowPlugin):
    name = "migrator"
    timetables = [MaintenanceWindowTimetable]  # noqa: RUF012  the interface of AirflowPlugin
    operator_extra_links = [EvidenceLink(), LedgerLink()]  # noqa: RUF012
