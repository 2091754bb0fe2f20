"""The pages for people: their links lead somewhere, and what they name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from migrator.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
FIRST = ROOT / "README.md"
CONTRIBUTING = ROOT / "docs" / "contributing.md"
PAGES = [FIRST, *sorted((ROOT / "docs").glob("*.md")), ROOT / "migrations" / "README.md"]
ENGINE = ROOT / "include" / "migrator"

FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^()\s]+)\)")
PATH = re.compile(r"(?<![\w./-])(?:dags|include|migrations|plugins|tests)/[\w./-]*[\w/]")
"""A path from the root, up to a placeholder or a wildcard, of which only the folder must be there."""

names = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def test_the_first_page_is_short() -> None:
    assert len(FIRST.read_text(encoding="utf-8").splitlines()) <= 150


@names
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        leads_to = (page.parent / path).resolve() if path else page
        assert leads_to.exists(), f"{link}: there is no {path}"
        assert not anchor or anchor in anchors(leads_to), f"{link}: no heading of {leads_to.name} has this anchor"


@names
def test_what_make_is_told_is_a_target(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = page.read_text(encoding="utf-8")
    named = {name for pair in re.findall(r"`make ([a-z-]+)`|^\$ make ([a-z-]+)", text, re.MULTILINE) for name in pair}
    assert named - {""} <= targets


@names
def test_paths_are_there(page: Path) -> None:
    for match in PATH.finditer(page.read_text(encoding="utf-8")):
        path, after = match[0], match.string[match.end() : match.end() + 1]
        where = ROOT / (path if after not in ("<", "*", "$") else path.rpartition("/")[0])
        assert where.exists(), path


def test_the_first_page_links_all_others() -> None:
    links = {(ROOT / link.partition("#")[0]).resolve() for link in LINK.findall(FIRST.read_text(encoding="utf-8"))}
    assert set(PAGES) - {FIRST} <= links


def test_the_page_of_the_command_has_every_command_in_order() -> None:
    """It is written by hand."""
    text = (ROOT / "docs" / "command.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `migrator ([a-z]+)", text, re.MULTILINE)
    assert named == [command.name for command in COMMANDS]


def test_the_tree_names_every_room_and_no_other() -> None:
    assert set(re.findall(r"^  (\w+)/ ", tree(), re.MULTILINE)) == rooms()


def test_floors_are_those_that_are_checked() -> None:
    """Of the table, from the top; import-linter's contract is the truth."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    contract = text.split('name = "A room uses what stands below it"')[1].split("exhaustive")[0]
    layers = [set(re.findall(r"\w+", layer)) for layer in re.findall(r'^    "([^"]*)",$', contract, re.MULTILINE)]
    table = re.findall(r"^\| (\d+) \| ([^|]*) \|", CONTRIBUTING.read_text(encoding="utf-8"), re.MULTILINE)
    outside = {"airflow_migrator", "dags"}
    floors = [set(re.findall(r"`(\w+)`", row)) - outside for _, row in table]
    assert [int(number) for number, _ in table] == list(range(len(layers), 0, -1))
    assert floors[:-1] == layers[:-1], "the words are told with an ellipsis"
    assert set().union(*floors[:-1]) == rooms()


def tree() -> str:
    (found,) = re.findall(r"^```\ninclude/migrator/\n(.*?)^```$", CONTRIBUTING.read_text(), re.MULTILINE | re.DOTALL)
    return str(found)


def rooms() -> set[str]:
    return {path.parent.name for path in ENGINE.glob("*/__init__.py")}


def anchors(page: Path) -> set[str]:
    """As GitHub makes them: small letters, blanks become hyphens, other punctuation goes."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
