"""What is in the database at the end, against what the writers know that they have committed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import psycopg

from tests.torture import backfill, copying, pieces
from tests.torture.case import Case
from tests.torture.model import Model
from tests.torture.table import HOT, Row, document_of, first_rows, id_of

ROWS = "SELECT owner, n, id, a, b, rank, token, md5(document) FROM t"
WITH_COPIES = "SELECT owner, n, id, a, v, rank, t.token, md5(document) FROM t LEFT JOIN copies USING (owner, n)"


def judge(conn: psycopg.Connection, case: Case, models: Mapping[int, Model], looked: float | None) -> Iterator[str]:
    """What is wrong, a line each.

    :param looked: when the step's last look for rows that are left began; None: it is not done, or is undone.
    """
    found = conn.execute((WITH_COPIES if case.form == "insert" else ROWS).encode()).fetchall()
    if case.form == "insert":
        for owner, n, v, by in conn.execute(copying.WITHOUT_ROW.encode()).fetchall():
            yield f"the copy of row {owner, n} by {by} is there with {v}, and the row is not"
    log = conn.execute("SELECT token, verb, old_a, old_b, new_a, new_b FROM filled").fetchall()
    times = Counter(token for token, *_ in log)
    for token, count in times.items():
        if count > 1 and not case.undo:
            yield f"token {token} was filled {count} times"
    if case.kind in pieces.KINDS:
        yield from (f"the engine has changed the row of token {token}" for token in times)
        yield from pieces.judge(conn, case)
    elif not case.undo:
        yield from _log(case, log)
    owners: dict[int, list[tuple[Any, ...]]] = {}
    for row in found:
        owners.setdefault(row[0], []).append(row)
    for owner in owners.keys() - models.keys() - {HOT}:
        yield f"rows of owner {owner} are there, whom nobody knows"
    for owner, model in models.items():
        yield from _rows(case, model, owner, owners.get(owner, []), times, looked)
    sums = dict(conn.execute("SELECT n, sum(d) FROM hot_log GROUP BY n").fetchall())
    yield from _hot(case, owners.get(HOT, []), sums, looked)


def _log(case: Case, log: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    for token, _, old_a, old_b, new_a, new_b in log:
        wanted = backfill.done(case.form, old_a) or (None, None)
        if old_b is not None or (new_a, new_b) != wanted:
            yield f"a batch made {old_a, old_b} of token {token} into {new_a, new_b}, not {wanted}"


def _rows(
    case: Case,
    model: Model,
    owner: int,
    found: Iterable[tuple[Any, ...]],
    times: Mapping[int, int],
    looked: float | None,
) -> Iterator[str]:
    there = Counter(row[1] for row in found)
    yield from (f"row {owner, n} is there {count} times" for n, count in there.items() if count > 1)
    yield from (f"row {owner, n} is there again" for n in there.keys() - model.rows.keys())
    for n in model.rows.keys() - there.keys():
        known = model.rows[n]
        if case.form != "delete" or known.b is not None:
            yield f"row {owner, n} is lost: {known}"
        elif times.get(known.token, 0) != 1:
            yield f"row {owner, n} is gone, and no batch has deleted it: {known}"
    for _, n, key, a, b, rank, token, document in found:
        known = model.rows.get(n)
        if known is None:
            continue
        wanted = (id_of(case.shape, owner, n), known.rank, known.token)
        if (key, rank, token) != wanted:
            yield f"row {owner, n} has {key, rank, token}, not {wanted}"
        if document != hashlib.md5(document_of(case.shape, known.document).encode()).hexdigest():
            yield f"row {owner, n} has another document"
        yield from _filled(case, model, known, f"row {owner, n}", a, b, times.get(token, 0), looked)


def _filled(
    case: Case, model: Model, known: Row, name: str, a: int, b: int | None, times: int, looked: float | None
) -> Iterator[str]:
    possible = model.possible(known)
    if (a, b) not in possible:
        yield f"{name} has {a, b} in a and b, not one of {possible}: {known}"
    elif case.undo:
        if b is not None:
            yield f"{name} has {a, b} although it is undone: {known}"
    elif known.b is None and b is None and looked is not None and known.since < looked:
        yield f"{name} is not filled, and was there {looked - known.since:.3f} s before the last look: {known}"
    elif known.b is None and (b is not None) != (times == 1):
        yield f"{name} has {a, b}, and batches have filled it {times} times: {known}"


def _hot(case: Case, found: list[tuple[Any, ...]], sums: Mapping[int, Any], looked: float | None) -> Iterator[str]:
    hot = first_rows(case.shape, HOT, 1 if case.form == "delete" else None)
    if sorted(row[1] for row in found) != sorted(hot):
        yield f"hot rows are {sorted(row[1] for row in found)}"
    for _, n, _, a, b, *_ in found:
        base = hot[n].a + int(sums.get(n, 0))
        filled = case.form == "add" and not case.undo and looked is not None
        if a != base + (backfill.PLUS if filled else 0):
            yield f"hot row {n} has {a}, its log says {base}"
        if case.form == "insert" and b is not None and (a, b) != backfill.done(case.form, a):
            yield f"hot row {n} has {a}, and its copy {b}"
        if (b is None) == (looked is not None and not case.undo):
            yield f"hot row {n} has {b} in b"
