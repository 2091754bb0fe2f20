"""What was printed of SQL files, kept on disk, so that a run over many files analyses only those that have changed.

An answer counts while all that it depends on is the same: see `Keys`. A cache that is damaged, locked or cannot be
written is no cache, and everything is analysed; it never makes a run fail.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migrator import __version__
from migrator.catalogue import scripts
from migrator.catalogue.metadata import METADATA_FILE
from migrator.frozen import frozen

if TYPE_CHECKING:
    from migrator.cli.batch_settings import Settings

logger = logging.getLogger(__name__)

FORMAT = 1
"""Raise it when answers are written in another way."""
LIMIT_BYTES = 64 * 1024 * 1024
"""From this size on the half of the answers that was not used for longest goes."""
TOGETHER = 200
"""Answers that are written in one transaction."""
_WAIT_SECONDS = 2.0
_PARSER = ("postgast", "google.protobuf")

_SCHEMA = "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, body BLOB, used INTEGER) WITHOUT ROWID"
_KEEP_HALF = (
    "DELETE FROM answers WHERE key IN (SELECT key FROM answers ORDER BY used LIMIT (SELECT count(*) / 2 FROM answers))"
)


@frozen
class Kept:
    counts: tuple[int, ...]
    texts: tuple[str, ...]

    def packed(self) -> bytes:
        texts = [text.encode("utf-8", "surrogatepass") for text in self.texts]
        head = json.dumps([self.counts, [len(text) for text in texts]])
        return zlib.compress(b"".join((head.encode(), b"\n", *texts)), 1)

    @classmethod
    def unpacked(cls, packed: bytes) -> Kept:
        """:raises ValueError: for bytes that are no answer."""
        try:
            head, _, body = zlib.decompress(packed).partition(b"\n")
        except zlib.error as exc:
            raise ValueError(str(exc)) from exc
        counts, sizes = json.loads(head)
        ends = list(accumulate(sizes, initial=0))
        texts = [body[start:end].decode("utf-8", "surrogatepass") for start, end in pairwise(ends)]
        return cls(tuple(counts), tuple(texts))


class AnalysisCache:
    """Answers by key. Used by one thread; many processes may have it open."""

    def __init__(self, place: Path, day: int) -> None:
        self._place = place
        self._connection = _connect(place)
        self._day = day
        self._used: list[bytes] = []
        self._new: dict[bytes, bytes] = {}

    def has(self, key: bytes) -> bool:
        query = "SELECT 1 FROM answers WHERE key = ?"
        return self._try(lambda it: it.execute(query, (key,)).fetchone()) is not None

    def get(self, key: bytes) -> Kept | None:
        """None: it is not there, or damaged."""
        found = self._try(lambda it: it.execute("SELECT body, used FROM answers WHERE key = ?", (key,)).fetchone())
        if found is None:
            return None
        body, used = bytes(found[0]), found[1]
        try:
            if body[:16] != _checksum(key, body[16:]):
                raise ValueError("the checksum is wrong")
            answer = Kept.unpacked(body[16:])
        except ValueError as fault:
            logger.debug("an answer of the cache is damaged: %s", fault)
            return None
        if used != self._day:
            self._used.append(key)
        return answer

    def put(self, key: bytes, packed: bytes) -> None:
        """`packed`: `Kept.packed`."""
        self._new[key] = _checksum(key, packed) + packed
        if len(self._new) >= TOGETHER:
            self._write()

    def close(self) -> None:
        self._write()
        marks = [(self._day, key) for key in self._used]
        self._try(lambda it: it.executemany("UPDATE answers SET used = ? WHERE key = ?", marks))
        self._try(_shrink)
        self._try(lambda it: it.commit())
        if self._connection is not None:
            self._connection.close()

    def _write(self) -> None:
        rows = [(key, body, self._day) for key, body in self._new.items()]
        self._new.clear()
        if rows:
            self._try(lambda it: it.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", rows))
            self._try(lambda it: it.commit())

    def _try(self, action: Callable[[sqlite3.Connection], Any]) -> Any | None:
        """What it gives; None, and no cache from then on, when SQLite cannot."""
        if self._connection is None:
            return None
        try:
            return action(self._connection)
        except sqlite3.Error as fault:
            _give_up(self._connection, self._place, fault)
            self._connection = None
            return None


@contextmanager
def opened(place: Path, today: date) -> Iterator[AnalysisCache]:
    """The cache in this file, made when it is not there; one that knows nothing where that cannot be."""
    cache = AnalysisCache(place, today.toordinal())
    try:
        yield cache
    finally:
        cache.close()


def _connect(place: Path) -> sqlite3.Connection | None:
    try:
        os.close(os.open(place, os.O_RDWR | os.O_CREAT, 0o600))  # it holds people's SQL
        connection = sqlite3.connect(place, timeout=_WAIT_SECONDS)
    except (OSError, sqlite3.Error) as fault:
        logger.debug("no cache: %s", fault)
        return None
    try:
        connection.execute("PRAGMA synchronous = OFF")  # what a crash damages is analysed anew
        connection.execute(_SCHEMA)
        return connection
    except sqlite3.Error as fault:
        _give_up(connection, place, fault)
        return None


def _give_up(connection: sqlite3.Connection, place: Path, fault: sqlite3.Error) -> None:
    """A lock that is held for long, or a full disk, may pass; what is no sound database begins anew in the next run."""
    logger.debug("no cache: %s", fault)
    connection.close()
    if isinstance(fault, sqlite3.DatabaseError) and not isinstance(fault, sqlite3.OperationalError):
        place.unlink(missing_ok=True)


def _shrink(connection: sqlite3.Connection) -> None:
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    if (pages - free) * size > LIMIT_BYTES:
        connection.execute(_KEEP_HALF)


def _checksum(key: bytes, body: bytes) -> bytes:
    return hashlib.blake2b(key + body, digest_size=16).digest()


class Keys:
    """All that the answer about a file depends on, as 16 bytes: its name and bytes; for a file of a migration, the
    files of the whole catalogue; how it is printed and what is assumed; engine, parser and Python; and the day, where
    the file has allowances, which expire."""

    def __init__(self, settings: Settings, root_of: Callable[[Path], Path | None]) -> None:
        """`root_of`: the folder of the catalogue that a file belongs to."""
        look = settings.look
        same = (
            FORMAT,
            sys.version_info,
            _sources(),
            settings.form.name,
            settings.form.head(),
            (look.paint.__qualname__, look.width, look.every_statement, look.every_lock, look.times),
            (settings.assumed.server_version_num, settings.assumed.schema),
        )
        self._same = _digest(repr(same).encode())
        self._today = settings.today.isoformat().encode()
        self._root_of = root_of
        self._catalogues: dict[Path | None, bytes] = {None: b""}

    def of(self, file: Path, data: bytes) -> bytes:
        root = self.root_of(file)
        if root not in self._catalogues:
            self._catalogues[root] = catalogue_digest(root) if root is not None else b""
        day = self._today if b"migrator" in data.lower() else b""
        version = (scripts.version_of(file) or "").encode()
        return _digest(self._same, os.fsencode(file), version, self._catalogues[root], day, data)

    def root_of(self, file: Path) -> Path | None:
        return self._root_of(file) if (file.parent / METADATA_FILE).is_file() else None

    def changed(self) -> frozenset[Path]:
        """Catalogues that are no longer what they were: nobody knows which of both an answer is about."""
        return frozenset(
            root for root, digest in self._catalogues.items() if root is not None and catalogue_digest(root) != digest
        )


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()


def catalogue_digest(root: Path) -> bytes:
    """Of the names and bytes of all files below a folder."""
    parts: list[bytes] = []
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        parts += (os.fsencode(path.relative_to(root)), hashlib.blake2b(path.read_bytes()).digest())
    return _digest(*parts)


def _sources() -> tuple[Any, ...]:
    """The engine's own files, by size and time, and the installed versions of the parser."""
    here = Path(__file__).parents[1]
    found = []
    for folder, _, names in os.walk(here):
        for name in sorted(names):
            if name.endswith((".py", ".sql")):
                state = os.stat(os.path.join(folder, name))
                found.append((os.path.relpath(os.path.join(folder, name), here), state.st_size, state.st_mtime_ns))
    return (__version__, str(here), *sorted(found), *(_installed(name) for name in _PARSER))


def _installed(package: str) -> tuple[str, ...]:
    """The folders that pip made for this version of a package: their names hold it."""
    from importlib.util import find_spec

    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return ()
    site = Path(spec.origin).parents[package.count(".") + 1]
    return tuple(sorted(path.name for path in site.glob(f"{package.rpartition('.')[2]}-*.dist-info")))
