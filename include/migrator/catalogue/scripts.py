"""The SQL files of migrations as they run: what the engine does itself is left out. Here alone it is decided.

Everything that reads a migration's file reads it through `read`: digest, analysis, dry run, apply, rollback. So what
is left out is left out in all of them, and places in the file stay what they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from migrator.catalogue.metadata import METADATA_FILE
from migrator.ledger.version import SCHEMA
from migrator.parsing import bookkeeping, outer
from migrator.parsing.aside import NOTHING_ASIDE, Aside, Foreign, LeftOut, Refused
from migrator.parsing.bookkeeping import Kept, Mixed
from migrator.parsing.statements import ParsedFile, ParsedStatement, parse


def read(sql: bytes | str, *, file: str, version: str | None) -> ParsedFile:
    """A migration's file, or its rollback script.

    :param version: whose file it is; None for a bare file, of which nobody knows it.
    """
    return set_aside(parse(sql, file=file), version=version)


def version_of(file: Path) -> str | None:
    """The version that a file belongs to by its folder; None when that is no migration's."""
    return file.resolve().parent.name if (file.parent / METADATA_FILE).is_file() else None


def set_aside(parsed: ParsedFile, *, version: str | None) -> ParsedFile:
    """The file without its own BEGIN and COMMIT and without bookkeeping; itself when it has neither. Pure."""
    around = outer.find(parsed.statements)
    judged = {item.index: bookkeeping.judge(item, version=version, own=SCHEMA) for item in parsed.statements}
    gone = {index for index, one in judged.items() if isinstance(one, Kept) and one.foreign is None}
    gone.update(around or ())
    stay = [item for item in parsed.statements if item.index not in gone]
    aside = Aside(
        tuple(_left_out(item, judged[item.index]) for item in parsed.statements if item.index in gone),
        around is not None,
        (*_around(parsed, stay, around), *_mixed(parsed, judged)),
        tuple(_foreign(stay, judged)),
    )
    if aside == NOTHING_ASIDE:
        return parsed
    return replace(parsed, statements=tuple(replace(item, index=place) for place, item in enumerate(stay)), aside=aside)


def _left_out(item: ParsedStatement, judged: Kept | Mixed | None) -> LeftOut:
    if not isinstance(judged, Kept):
        return LeftOut(item.kind, item.line, item.column, item.digest, bookkeeping=False)
    return LeftOut(judged.what, item.line, item.column, item.digest, versions=judged.versions, certain=judged.certain)


def _around(parsed: ParsedFile, stay: Sequence[ParsedStatement], around: tuple[int, int] | None) -> Iterator[Refused]:
    """What does not fit into the one transaction that the file asks for."""
    begin, commit = around if around is not None else (-1, len(parsed.statements))
    for item in parsed.statements if around is None else (parsed.statements[begin], *stay):
        asked = outer.options(item)
        if asked is not None:
            yield Refused(item.line, item.column, *asked)
        elif around is not None and item.index != begin and not begin < item.index < commit:
            why = outer.outside(item, before=item.index < begin)
            if why is not None:
                yield Refused(item.line, item.column, *why)
        elif around is not None and not item.transactional:
            message = f"{item.kind} cannot run between BEGIN and COMMIT: PostgreSQL refuses it in a transaction"
            yield Refused(item.line, item.column, message, outer.ALONE)


def _mixed(parsed: ParsedFile, judged: Mapping[int, Kept | Mixed | None]) -> Iterator[Refused]:
    for item in parsed.statements:
        one = judged[item.index]
        if isinstance(one, Mixed):
            line, column = parsed.lines.place(one.offset)
            message = f"{one.what} is the ledger's work, but it stands in one statement with {one.other}"
            hint = f"write {one.other} as a statement of its own, and take the bookkeeping out"
            yield Refused(line, column, message, hint, mixed=True)


def _foreign(stay: Sequence[ParsedStatement], judged: Mapping[int, Kept | Mixed | None]) -> Iterator[Foreign]:
    for place, item in enumerate(stay):
        one = judged[item.index]
        if isinstance(one, Kept) and one.foreign is not None:
            yield Foreign(place, one.foreign)
