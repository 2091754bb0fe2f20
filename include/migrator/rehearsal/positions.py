"""What a dry run makes of sequences: whether they can go on after apply, and whether the rollback sets them back."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from migrator.backups.trial import Trial
from migrator.database import sequences
from migrator.database.schema import LEDGER_SCHEMA
from migrator.database.sequences import Sequences
from migrator.database.session import Connection
from migrator.evidence import Check, Verdict
from migrator.gates import sequences as next_values
from migrator.rehearsal.checks import NUMBERS_AGAIN
from migrator.rehearsal.losses import Dropped


@dataclass(frozen=True)
class Touched:
    """`keys`: (sequence, table, column) each, as they may be told, for verify to look at the same ones."""

    keys: tuple[tuple[str, ...], ...] = ()
    as_before: tuple[tuple[str, ...], ...] = ()
    """Keys of problems that were there before."""
    check: Check | None = None
    """None: no sequence was touched."""


NONE_TOUCHED = Touched()


def after_apply(trial: Trial, version: str, written: Collection[str]) -> Touched:
    """Of what was touched only; what was wrong before is not this migration's."""
    with trial.beside(version) as (untouched, conn):
        before, after = _read(untouched), _read(conn)
        feeds = next_values.touched(before, after, written)
        if not feeds:
            return NONE_TOUCHED
        keys = tuple(feed.key for feed in feeds)
        known = [feed for feed in before.feeds if feed.key in keys]
        old = tuple(next_values.look(untouched, before, known).problems)
        check = next_values.judge(next_values.look(conn, after, feeds), known=old)
    return Touched(tuple(map(next_values.told_key, keys)), tuple(map(next_values.told_key, old)), check)


def after_rollback(trial: Trial, version: str, data: Check, dropped: Dropped) -> Check:
    """`data`, the check of the rows, with what became of the positions.

    :param dropped: by apply.
    """
    with trial.beside(version) as (untouched, conn):
        before, now = _read(untouched), _read(conn)
        behind = next_values.behind(before, now)
        feeds = [feed for feed in now.feeds if feed.sequence in behind]
        found = next_values.look(conn, now, feeds)
    wrong: list[str] = []
    gone: list[str] = []
    for name in behind:
        text = next_values.lost(name, before, now, found)
        if _had_to(name, before, now, found, dropped):
            gone.append(text)
        else:
            there = dropped.sequences.union(position.oid for position in now.positions.values())
            lost = before.positions[name].oid not in there
            wrong.append(f"{text.rstrip(';')}; the rollback drops it, which apply had left" if lost else text)
    return _together(data, wrong, gone, len(before.positions))


def _had_to(name: str, before: Sequences, now: Sequences, found: next_values.Found, dropped: Dropped) -> bool:
    """Whether no script could do better, as apply dropped the sequence: it went with its table or column; or it is made
    anew, and was put beyond all rows that there are."""
    if before.positions[name].oid not in dropped.sequences:
        return False
    fed = [feed for feed in before.feeds if feed.sequence == name]
    if fed and all(dropped.has(feed.table, feed.column) for feed in fed):
        return True
    compared = any(feed.sequence == name and feed.hidden is None for feed in now.feeds)
    stuck = any(name in key for key in found.problems)
    return name in now.positions and compared and not stuck


def _together(data: Check, wrong: list[str], gone: list[str], count: int) -> Check:
    if wrong:
        said = [] if data.verdict is Verdict.PASSED else [data.detail]
        text = "; ".join([*said, "the rollback sets sequences back: " + "; ".join([*wrong, *gone])])
        return Check(data.name, Verdict.FAILED, text)
    if gone:
        text = "; ".join([data.detail, f"{NUMBERS_AGAIN}: " + "; ".join(gone)])
        return Check(data.name, Verdict.FAILED if data.verdict is Verdict.FAILED else Verdict.UNVERIFIED, text)
    if count and data.verdict is Verdict.PASSED:
        return Check(data.name, data.verdict, f"{data.detail}, no sequence was set back")
    return data


def _read(conn: Connection) -> Sequences:
    return sequences.read(conn, exclude=(LEDGER_SCHEMA,))
