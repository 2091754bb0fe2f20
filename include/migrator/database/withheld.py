"""What a server said that may hold rows, kept apart from all that is told.

Logs, XCom, notifications, tickets and the ledger reach more people than may read the data of production. Whatever could
hold a row goes into one file of the run instead, which only its owner may read, and the log names that file. Where
nobody has said where to keep it (a test, a script), it is kept nowhere, and told nowhere all the same.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from datetime import datetime, timezone
from pathlib import Path
from typing import ParamSpec, Protocol

P = ParamSpec("P")
FOLDER_MODE, FILE_MODE = 0o700, 0o600
KEPT_DAYS = 30
"""Of files that no run's retention cleans up: those of the command line."""


class Place(Protocol):
    """Where the words of one run and stage are appended."""

    @property
    def name(self) -> str:
        """Path or URI, for people."""
        ...

    @property
    def readers(self) -> str:
        """Who may read it, in words that follow "readable by"."""
        ...

    def append(self, text: str) -> None: ...


class LocalFile:
    """A file of mode 0600 in a folder of mode 0700."""

    readers = "its owner alone"

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        return str(self._path)

    def append(self, text: str) -> None:
        folder = self._path.parent
        if not folder.is_dir():
            folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        descriptor = os.open(self._path, flags, FILE_MODE)
        with os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace") as file:
            os.fchmod(file.fileno(), FILE_MODE)  # of a file that somebody has made before
            file.write(text)


class Keeper:
    """Keeps what it is given in one place, and says once where. The place is looked for when there is something to
    keep, so that a stage does not fail for a folder that it does not need."""

    def __init__(self, find: Callable[[], Place], tell: Callable[[str], object]) -> None:
        self._find = find
        self._tell = tell
        self._place: Place | None = None
        self._broken = False
        self.said = ""
        """Where the words are, once there are any."""

    def keep(self, text: str) -> None:
        """Never raises: what the server refused matters more than where its words are."""
        if self._broken:
            return
        try:
            first = self._place is None
            place = self._place = self._place or self._find()
            now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
            place.append(f"{now} {text.rstrip()}\n\n")
            if first:
                self.said = f"the server's own words: {place.name}, readable by {place.readers}"
                self._tell(self.said)
        except Exception as exc:  # a storage of any kind, each with errors of its own; none of them saw the text
            self._broken = True
            self._tell(f"the server's own words could not be kept ({type(exc).__name__})")


_KEEPER: ContextVar[Keeper | None] = ContextVar("keeper of withheld words", default=None)


@contextmanager
def kept_by(keeper: Keeper) -> Iterator[Keeper]:
    """As long as it lasts, `keep` goes to this keeper."""
    token = _KEEPER.set(keeper)
    try:
        yield keeper
    finally:
        _KEEPER.reset(token)


def keeping(work: Callable[P, None]) -> Callable[P, None]:
    """`work` for a thread of its own, which keeps and tells what this one does: a new thread knows neither keeper nor
    vocabulary."""
    context = copy_context()

    def kept(*args: P.args, **kwargs: P.kwargs) -> None:
        context.run(work, *args, **kwargs)

    return kept


def keep(text: str) -> None:
    """Put aside what nobody but the owner of the run's file may read."""
    keeper = _KEEPER.get()
    if keeper is not None:
        keeper.keep(text)


def file_of_command(command: str, *, folder: Path) -> LocalFile:
    """A new file for one call of the command line; those of earlier calls go after `KEPT_DAYS`."""
    oldest = time.time() - KEPT_DAYS * 24 * 3600
    for path in folder.glob("*.txt") if folder.is_dir() else ():
        if path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
    moment = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    return LocalFile(folder / f"{moment}-{command}-{os.getpid()}.txt")
