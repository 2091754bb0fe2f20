"""The pictures of README.md, made anew by `make pictures`. Named so that pytest does not collect it with the tests.

They show the shipped 001_add_analytics_tables, applied to a target that wants two reviews.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FloatRect, Locator, expect

from tests.acceptance.case import Case, Run
from tests.acceptance.laboratory import Laboratory
from tests.acceptance.specs import REVIEWED, Spec
from tests.browser.cases import analytics
from tests.browser.conftest import SignIn
from tests.browser.palette import smaller

TARGET = "production"
EARLIER = "earlier"
AT_MOST_BYTES = 120_000
SETTLED_MS = 2_000
"""The graph glides to where it was sent."""


class Shipped(Case):
    """Under its own version, not under one made from the case's name."""

    def version(self, name: str = "") -> str:
        return "001_add_analytics_tables"


@pytest.fixture(scope="session")
def laboratory(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    laboratory = Laboratory(tmp_path_factory.mktemp("pictures"), {EARLIER: Spec()})
    laboratory.cases[TARGET] = Shipped(laboratory, TARGET, Spec(migrations={"": analytics()}, target=REVIEWED))
    try:
        laboratory.start()
        yield laboratory
    finally:
        laboratory.stop()


@pytest.fixture(scope="session")
def run(laboratory: Laboratory) -> Run:
    """Applied and verified. The first analysis on a server measures for a while what work costs there; that is not to
    be seen, and therefore done by another migration."""
    assert laboratory.cases[EARLIER].trigger(until="dry_run").wait() == "success"
    run = laboratory.cases[TARGET].trigger(user="carol", reason="before release 4.2")
    run.respond(1, "alice", comment="new tables only, nothing waits for long")
    run.respond(2, "bob", comment="proved on the copy, and so is its rollback")
    assert run.wait() == "success"
    return run


def test_run_page(sign_in: SignIn, run: Run, browser: Browser, repository: Path) -> None:
    ui = sign_in("carol")
    ui.page.set_viewport_size({"width": 1200, "height": 1120})
    report = ui.report(run)
    expect(report.get_by_text("applied and verified")).to_be_visible()
    keep(ui.page.screenshot(), browser, repository / "docs" / "run-page.png")


def test_graph(sign_in: SignIn, run: Run, browser: Browser, repository: Path) -> None:
    """From top to bottom: in a row its words would be too small to read."""
    ui = sign_in("carol")
    ui.page.set_viewport_size({"width": 1200, "height": 1280})
    ui.open_run(run)
    ui.button("Show Graph (Press g)").click()
    ui.button("Options").click()
    ui.page.get_by_role("combobox", name="Graph Direction").click()
    ui.page.get_by_role("option", name="Top to Bottom").click()
    ui.page.keyboard.press("Escape")
    ui.button("Collapse Details Panel").click()
    nodes = ui.page.locator(".react-flow__node")
    expect(nodes.filter(has_text="outcome")).to_be_visible()
    ui.page.wait_for_timeout(SETTLED_MS)
    ui.button("Fit View").click()
    ui.page.wait_for_timeout(SETTLED_MS)
    keep(ui.page.screenshot(clip=around(nodes, 20)), browser, repository / "docs" / "graph.png")


def around(nodes: Locator, margin: float) -> FloatRect:
    boxes = [box for node in nodes.all() if (box := node.bounding_box())]
    left, top = (min(box[side] for box in boxes) - margin for side in ("x", "y"))
    right = max(box["x"] + box["width"] for box in boxes) + margin
    bottom = max(box["y"] + box["height"] for box in boxes) + margin
    return {"x": left, "y": top, "width": right - left, "height": bottom - top}


def keep(png: bytes, browser: Browser, path: Path) -> None:
    small = smaller(png, browser)
    assert len(small) <= AT_MOST_BYTES
    path.write_bytes(small)
