"""One real Airflow and one headless Chromium for all tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, expect, sync_playwright

from tests.acceptance.case import Case, Run
from tests.acceptance.laboratory import Laboratory
from tests.browser import chromium
from tests.browser.cases import SPECS, write_broken
from tests.browser.ui import Ui

PATIENCE_MS = 60_000
"""How long one element may take to appear on a busy machine."""
SIZE = {"width": 1440, "height": 1200}

SignIn = Callable[[str], Ui]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = chromium.find()
    if program is None:
        # What CI was to install must not be passed over in silence.
        (pytest.fail if chromium.expected() else pytest.skip)(chromium.missing())
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=chromium.flags())
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def laboratory(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """Asks for the browser first: without one, no Airflow is started."""
    laboratory = Laboratory(tmp_path_factory.mktemp("browser"), SPECS)
    try:
        write_broken(laboratory.migrations)
        laboratory.start()
        yield laboratory
    finally:
        laboratory.stop()


@pytest.fixture(scope="session")
def rehearsed(laboratory: Laboratory) -> Case:
    return laboratory.cases["rehearsed"]


@pytest.fixture(scope="session")
def runs(laboratory: Laboratory) -> dict[str, Run]:
    """What the tests look at runs meanwhile: one that asks for reviews, and one that verify will find wrong."""
    return {name: laboratory.cases[name].trigger(user="carol") for name in ("reviewed", "undone")}


@pytest.fixture
def sign_in(browser: Browser, laboratory: Laboratory, request: pytest.FixtureRequest) -> Iterator[SignIn]:
    """As a person of Airflow's, in a browser window of their own. BROWSER_SCREENSHOTS names a folder that keeps what
    each window showed last."""
    opened: list[tuple[str, Ui]] = []

    def open_as(user: str) -> Ui:
        context = browser.new_context(viewport=SIZE, locale="en-GB", timezone_id="UTC")
        context.set_default_timeout(PATIENCE_MS)
        ui = Ui(context.new_page(), laboratory.airflow.url)
        opened.append((user, ui))
        ui.sign_in(user, laboratory.airflow.passwords()[user])
        return ui

    yield open_as
    for user, ui in opened:
        if folder := os.environ.get("BROWSER_SCREENSHOTS"):
            with suppress(Error):  # a picture to look at, no part of the test
                ui.page.screenshot(path=Path(folder) / f"{request.node.name}-{user}.png", timeout=20_000)
        ui.page.context.close()
