"""The examples of the rules (tests/rules/README.md), read and analysed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.analysis.rules import BY_ID
from migrator.analysis.walk.pending import Earlier, lock_orders
from migrator.catalogue import scripts
from migrator.documents import from_dict
from migrator.facts.facts import CatalogFacts
from migrator.parsing.statements import ParsedFile, parse
from migrator.plan import Finding, Severity

FOLDER = Path(__file__).parent / "rules"
ROLLBACK = "-- rollback\n"
MANY_ROWS = 5_000_000


@dataclass(frozen=True)
class Example:
    rule: str
    path: Path

    def __str__(self) -> str:
        return f"{self.rule}/{self.path.stem}"

    @property
    def text(self) -> str:
        return self.path.read_bytes().decode()  # line ends as they are

    @property
    def bad(self) -> bool:
        return self.path.stem.startswith("bad")

    @property
    def catalog(self) -> Path:
        own = self.path.with_name("catalog.sql")
        return own if own.exists() else FOLDER / "catalog.sql"

    @property
    def needs_catalog(self) -> bool:
        """Whether the rule can find it only with the catalog's answers."""
        return self.catalog.parent != FOLDER or "\n-- connection\n" in f"\n{self.text}"

    @property
    def reaches_another_schema(self) -> bool:
        return "\n-- another schema: " in f"\n{self.text}"

    @property
    def fails(self) -> str | None:
        """SQLSTATE that the server answers to the example."""
        match = re.search(r"^-- fails: (\w{5})$", self.text, re.MULTILINE)
        return match[1] if match else None

    @property
    def remains(self) -> frozenset[str]:
        """Rules that are right about the alternative, too."""
        match = re.search(r"^-- remains: ([\w, -]+)", self.text, re.MULTILINE)
        return frozenset(match[1].replace(" ", "").split(",")) if match else frozenset()

    def runs_on(self, major: int) -> bool:
        match = re.search(r"^-- server: (\d+)(?:-(\d+))?$", self.text, re.MULTILINE)
        return match is None or int(match[1]) <= major <= int(match[2] or 99)

    @property
    def parsed(self) -> ParsedFile:
        return scripts.read(self.text.partition(ROLLBACK)[0], file=self.path.name, version=None)

    @property
    def rollback(self) -> ParsedFile | None:
        if "-- no rollback" in self.text:
            return None
        return parse(self.text.partition(ROLLBACK)[2] or "SELECT 1;", file="rollback.sql")

    @property
    def pending(self) -> tuple[ParsedFile, ...]:
        """Another migration that waits to be applied."""
        path = self.path.with_name("pending.sql")
        return (parse(path.read_text(encoding="utf-8"), file=path.name),) if path.exists() else ()

    @property
    def told(self) -> dict[str, Any]:
        """Facts that are told instead of read: no test server has standbys, or vacuums that prevent wraparound."""
        path = self.path.with_name("facts.json")
        data = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        told = from_dict(CatalogFacts, {"server_version_num": 180000, **data})
        return {name: getattr(told, name) for name in data}

    def findings(self, facts: CatalogFacts | None = None) -> tuple[Finding, ...]:
        if self.told:
            facts = replace(facts or CatalogFacts(server_version_num=180000), **self.told)
        version = re.search(r"^-- server version: (\d+)$", self.text, re.MULTILINE)
        if version is not None:
            facts = replace(facts or CatalogFacts(0), server_version_num=int(version[1]))
        invalid = re.search(r"^-- invalid index: (\S+)$", self.text, re.MULTILINE)
        if invalid is not None and facts is not None:
            facts = without_validity(facts, invalid[1])
        return inspect(
            Sources(
                (self.parsed,),
                rollback=self.rollback,
                transaction=True if "-- transaction: true" in self.text else None,
                has_metadata=True,
            ),
            Known(facts=facts, pending=lock_orders(Earlier("pending", "2025/pending", self.pending))),
        ).findings


def examples() -> tuple[Example, ...]:
    return tuple(_examples())


def _examples() -> Iterator[Example]:
    for folder in sorted(path for path in FOLDER.iterdir() if path.is_dir()):
        for path in sorted(folder.glob("*.sql")):
            if path.stem.startswith(("bad", "good")):
                yield Example(folder.name, path)


def unexplained(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    """Rule and message of what people are warned of with neither SQL instead nor a word why there is none."""
    return [
        (item.rule, item.message)
        for item in findings
        if item.severity is not Severity.INFO and not item.alternative_sql and not BY_ID[item.rule].without_sql
    ]


def crowded(facts: CatalogFacts) -> CatalogFacts:
    """The same catalog with millions of rows in each table, so that nothing is forgiven for being small."""
    return replace(
        facts, relations={name: replace(item, rows=MANY_ROWS) for name, item in facts.relations.items() if item}
    )


def without_validity(facts: CatalogFacts, index: str) -> CatalogFacts:
    """The same catalog, with the index as a failed CREATE INDEX CONCURRENTLY leaves it."""
    relations = {
        name: replace(item, indexes=tuple(replace(one, valid=one.valid and one.name != index) for one in item.indexes))
        for name, item in facts.relations.items()
    }
    return replace(facts, relations=relations)
