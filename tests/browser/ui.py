"""A person in front of Airflow's UI: where things are, and what they are called there."""

from __future__ import annotations

import re
from urllib.parse import quote

from playwright.sync_api import FrameLocator, Locator, Page, expect

from tests.acceptance.case import Run


class Ui:
    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    def sign_in(self, user: str, password: str) -> None:
        self.page.goto(f"{self.url}/auth/login")
        self.page.fill("input[name=username]", user)
        self.page.fill("input[name=password]", password)
        self.page.click("button[type=submit]")
        self.page.wait_for_url(lambda address: "/auth/login" not in address)

    def open(self, path: str) -> None:
        self.page.goto(self.url + path)

    def open_dag(self, dag_id: str) -> None:
        self.open(f"/dags/{dag_id}")
        expect(self.button("Trigger Dag")).to_be_visible()

    def open_run(self, run: Run, tab: str = "") -> None:
        self.open(self.path(run) + (f"/{tab}" if tab else ""))

    def open_task(self, run: Run, task_id: str, tab: str = "") -> None:
        self.open(f"{self.path(run)}/tasks/{task_id}" + (f"/{tab}" if tab else ""))

    def report(self, run: Run) -> FrameLocator:
        """The run's tab Migration."""
        self.open_run(run)
        self.page.get_by_role("link", name="Migration", exact=True).click()
        return self.page.frame_locator("iframe[title=Migration]")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def choose(self, field: str, choice: str) -> None:
        """Pick from one of the trigger form's lists."""
        self.page.get_by_role("dialog").get_by_label(field).click()
        self.page.get_by_role("option", name=re.compile(f"^{re.escape(choice)}")).click()

    @staticmethod
    def path(run: Run) -> str:
        return f"/dags/{run.dag_id}/runs/{quote(run.run_id, safe='')}"
