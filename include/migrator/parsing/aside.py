"""What of a file is not run, because the engine does it: the file's own BEGIN and COMMIT, and its bookkeeping."""

from __future__ import annotations

from migrator.frozen import frozen


@frozen
class LeftOut:
    """A statement that is not sent to the server. Lines and columns are the file's."""

    what: str
    """In words: "BEGIN", "INSERT INTO schema_migrations"."""
    line: int
    column: int
    digest: str
    bookkeeping: bool = True
    """False: the file's own BEGIN or COMMIT."""
    versions: tuple[str, ...] = ()
    """Whose rows it is about, as it is written there."""
    certain: bool = True
    """False: it writes, and does not say of which versions."""


@frozen
class Refused:
    """A statement that cannot be left out and cannot run as it stands."""

    line: int
    column: int
    message: str
    hint: str
    mixed: bool = False
    """True: bookkeeping together with something else; False: something around the file's transaction."""


@frozen
class Foreign:
    """A row of another tool in a table of the same name: the statement runs as it is."""

    statement: int
    version: str


@frozen
class Aside:
    left_out: tuple[LeftOut, ...] = ()
    wrapped: bool = False
    """Whether the file has its own BEGIN and COMMIT around it."""
    refused: tuple[Refused, ...] = ()
    foreign: tuple[Foreign, ...] = ()

    @property
    def bookkeeping(self) -> tuple[LeftOut, ...]:
        return tuple(one for one in self.left_out if one.bookkeeping)


NOTHING_ASIDE = Aside()
