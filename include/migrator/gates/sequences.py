"""Whether a sequence can go on: its next value is free in every column that it feeds, and it reaches as far as they do.

A serial that became an identity counts from 1 again, rows with explicit ids leave the sequence behind them, and a
column that became bigint keeps its sequence of integers. The schema shows nothing of the first two, no row does, and
the application cannot insert.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql as quoting

from migrator import wording
from migrator.database import sequences, session, withheld
from migrator.database.sequences import TYPES, Feed, Position, Sequences
from migrator.database.vocabulary import told_name
from migrator.errors import Refused
from migrator.evidence import Check, Verdict

LARGEST_SCAN = 64 * 1024 * 1024
"""Bytes of a table without a fit index that verify reads in production to find its largest value: about a tenth of a
second."""


@dataclass(frozen=True)
class Found:
    """What is wrong with sequences, by what it is about, and what nobody could look at."""

    problems: dict[tuple[str, ...], str]
    left_out: tuple[str, ...]
    compared: int


def touched(before: Sequences, after: Sequences, written: Collection[str]) -> tuple[Feed, ...]:
    """The feeds that may have got worse: new or other ones, those of a sequence that is another one or elsewhere, and
    those of tables whose rows were written. Pure."""
    old = {feed.key: feed.type for feed in before.feeds}
    return tuple(
        feed
        for feed in after.feeds
        if old.get(feed.key) != feed.type
        or before.positions.get(feed.sequence) != after.positions.get(feed.sequence)
        or not feed.parts.isdisjoint(written)
    )


def look(
    conn: psycopg.Connection[Any], state: Sequences, feeds: Iterable[Feed], *, largest_scan: int | None = None
) -> Found:
    """:param state: read before or after, it does not matter: each sequence is compared with a value that was there
    before its position is read again. :param largest_scan: bytes above which no table is read without an index."""
    problems: dict[tuple[str, ...], str] = {}
    left_out = []
    compared = 0
    for feed in feeds:
        position = state.positions.get(feed.sequence)
        hidden = feed.hidden
        if position is None:
            hidden = "the role may not read the sequence"
        elif hidden is None and largest_scan is not None and not feed.indexed and feed.bytes > largest_scan:
            hidden = f"the column has no index and the table {wording.size(feed.bytes)}"
        if position is not None and (text := too_narrow(feed, position)):
            problems[_about("type", feed)] = text
        if hidden is not None or position is None:
            left_out.append(_not_compared(feed, hidden))
            continue
        try:
            with session.translated():
                reached = sequences.farthest(conn, feed, position.increment)
                position = sequences.again(conn, position)
                taken = reached is not None and _met(conn, feed, position, reached)
        except Refused as exc:
            left_out.append(_not_compared(feed, str(exc)))
            continue
        compared += 1
        if text := used_up(position):
            problems["used up", feed.sequence] = text
        elif taken and reached is not None:
            problems[_about("next", feed)] = not_free(feed, position, reached)
    return Found(problems, tuple(left_out), compared)


def judge(found: Found, *, known: Collection[Sequence[str]]) -> Check:
    """What this migration has made. Pure.

    :param known: keys of problems that were there before it.
    """
    old = {told_key(key) for key in known}
    made = [text for key, text in found.problems.items() if told_key(key) not in old]
    if made:
        return Check("sequences", Verdict.FAILED, "; ".join(made))
    good = f"{wording.count(found.compared, 'column')} compared with the next value of the sequence"
    before = [f"as before it: {text}" for key, text in found.problems.items() if told_key(key) in old]
    return Check("sequences", Verdict.PASSED, "; ".join([good, *before, *found.left_out]))


def told_key(key: Iterable[str]) -> tuple[str, ...]:
    """Of a feed or of a problem, as evidence may have it."""
    return tuple(map(told_name, key))


def too_narrow(feed: Feed, position: Position) -> str | None:
    """A sequence of another type than its column's, that ends before the column does. Pure."""
    if TYPES.get(position.type, 0) >= TYPES.get(feed.type, 0):
        return None
    name = told_name(position.name)
    return (
        f"sequence {name} is of type {position.type} and ends before its column {column_of(feed)} of type {feed.type}"
        f" does: ALTER SEQUENCE {name} AS {feed.type};"
    )


def used_up(position: Position) -> str | None:
    if position.next_value is not None:
        return None
    return f"sequence {told_name(position.name)} has no next value, it is at its end: give it another by ALTER SEQUENCE"


def not_free(feed: Feed, position: Position, reached: int) -> str:
    """Values are rows', so none is told, neither of a column nor of a sequence, which SQL may set to any."""
    function = "max" if position.increment > 0 else "min"
    withheld.keep(
        f"sequence {position.name}: its next value is {position.next_value}, {function}({feed.quoted}) of table"
        f" {feed.table} is {reached}"
    )
    name, column, table = map(told_name, (position.name, feed.quoted, feed.table))
    return (
        f"sequence {name}: its next value is not free, {function}({column}) of table {table} is as far, the next INSERT"
        f" fails or gives the number twice: {set_to(feed, position)}"
    )


def set_to(feed: Feed, position: Position) -> str:
    """The statement that puts a sequence beyond the values of its column. Pure."""
    function = "max" if position.increment > 0 else "min"
    name, column, table = map(told_name, (position.name, feed.quoted, feed.table))
    value = f"(SELECT {function}({column}) FROM {table})"  # noqa: S608 - for people to read
    return f"SELECT setval({_literal(name)}, {value});"


def behind(before: Sequences, now: Sequences) -> tuple[str, ...]:
    """Sequences that are not there any more, or give values again that they had given before. One that cycles does so
    by itself. Pure."""
    return tuple(
        name
        for name, position in before.positions.items()
        if name not in now.positions or _gone_back(position, now.positions[name])
    )


def lost(name: str, before: Sequences, now: Sequences, found: Found) -> str:
    """What became of a sequence that is behind, with the statement that mends it where its column can say so."""
    was, told = before.positions[name], told_name(name)
    if name not in now.positions:
        withheld.keep(f"sequence {name}, whose next value was {was.next_value}, is missing")
        return f"sequence {told} is missing"
    withheld.keep(f"sequence {name} has the next value {now.positions[name].next_value}, it was {was.next_value}")
    stuck = [words for key, words in found.problems.items() if key[0] == "next" and key[1] == name]
    return "; ".join([f"sequence {told} gives values again that it had given", *stuck])


def column_of(feed: Feed) -> str:
    """As `schema.read` names it, and as it may be told."""
    return f"{told_name(feed.table)}.{told_name(feed.quoted)}"


def _gone_back(before: Position, now: Position) -> bool:
    if before.cycles or now.next_value is None:
        return False
    if before.next_value is None:  # it was used up
        return True
    if before.increment > 0:
        return now.next_value < before.next_value
    return now.next_value > before.next_value


def _met(conn: psycopg.Connection[Any], feed: Feed, position: Position, reached: int) -> bool:
    following = position.next_value
    if following is None or position.cycles:
        return False
    if (following > reached) if position.increment > 0 else (following < reached):
        return False
    return abs(position.increment) == 1 or sequences.is_taken(conn, feed, position)


def _not_compared(feed: Feed, why: str | None) -> str:
    return f"sequence {feed.sequence} was not compared with column {column_of(feed)}: {why}"


def _about(what: str, feed: Feed) -> tuple[str, ...]:
    return (what, *feed.key)


def _literal(text: str) -> str:
    return quoting.Literal(text).as_string(None)
