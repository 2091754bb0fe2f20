"""What a dry run makes of indexes that call functions: an index keeps what they gave when it was built.

A function is put back by its text alone, and nothing is written then; so no comparison of schema or rows sees that an
index is still of another one. Searched by it, rows are not found.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import psycopg

from migrator.backups.trial import Trial
from migrator.database import plain, queries
from migrator.evidence import Check, Verdict


class Index(NamedTuple):
    file: int
    name: str
    code: str
    """A digest of all that it calls."""


@dataclass
class Built:
    """Watches while statements run: with what each file was built, and what has been there since."""

    codes: dict[int, list[str]] = field(default_factory=dict)

    def see(self, conn: psycopg.Connection[Any]) -> None:
        for index in read(conn):
            self.codes.setdefault(index.file, []).append(index.code)


def read(conn: psycopg.Connection[Any]) -> list[Index]:
    return [Index(*row) for row in conn.execute(queries.load(__package__, "built")["built"]).fetchall()]


def after_rollback(trial: Trial, version: str, data: Check, watched: Iterable[Built]) -> Check:
    """`data`, the check of the rows, with what became of such indexes.

    :param watched: in the order of time.
    """
    with trial.beside(version) as (untouched, conn), plain.as_they_lie(untouched), plain.as_they_lie(conn):
        before, now = read(untouched), read(conn)
    seen = Built({index.file: [index.code] for index in before})
    for one in watched:
        for file, codes in one.codes.items():
            seen.codes.setdefault(file, []).extend(codes)
    return judged(data, [index for index in now if index.name in {old.name for old in before}], seen)


def judged(data: Check, indexes: Collection[Index], seen: Built) -> Check:
    """Pure."""
    others = {one.name: seen.codes[one.file] for one in indexes if {*seen.codes.get(one.file, ())} - {one.code}}
    now = {one.name: one.code for one in indexes}
    stale = sorted(name for name, codes in others.items() if codes[0] != now[name])
    if stale:
        said = [] if data.verdict is Verdict.PASSED else [data.detail]
        said.append(
            f"the rollback puts back what index {', '.join(stale)} calls, and leaves in it what another function gave:"
            f" rows are not found by it. after that, let it run {'; '.join(f'REINDEX INDEX {name}' for name in stale)}"
        )
        return Check(data.name, Verdict.FAILED, "; ".join(said))
    if others:
        text = (
            f"index {', '.join(sorted(others))} calls a function that was another one meanwhile: what is written in"
            " that time it has right only after a REINDEX in the rollback"
        )
        return replace(data, detail=f"{data.detail}; {text}")
    return data
