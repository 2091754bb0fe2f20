"""What a file says of itself, in its header and its bookkeeping, held against the metadata. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.analysis.inspection import Inspection
from migrator.catalogue.metadata import Metadata
from migrator.parsing import header
from migrator.parsing.aside import LeftOut
from migrator.parsing.bookkeeping import is_of, version_of
from migrator.parsing.header import Field
from migrator.parsing.statements import ParsedFile
from migrator.plan import Finding, Severity

VERSION_RULE = "another-versions-row"
HEADER_RULE = "header-contradicts"


def contradictions(metadata: Metadata, inspection: Inspection) -> list[Finding]:
    undo = () if inspection.rollback is None else (inspection.rollback.parsed,)
    files = (*(script.parsed for script in inspection.scripts), *undo)
    return [found for file in files for found in (*_rows(metadata, file), *_header(metadata, file, file in undo))]


def _rows(metadata: Metadata, parsed: ParsedFile) -> Iterator[Finding]:
    """Rows of other versions: a copied file that would have said "already applied" of the wrong one, or erased it."""
    for one in parsed.aside.bookkeeping:
        others = [name for name in one.versions if not is_of(name, metadata.version)]
        required = [name for name in others if any(is_of(name, needed) for needed in metadata.dependencies)]
        if not one.certain:
            yield _row(
                parsed,
                one,
                f"{one.what} does not say of which version: it may be about every row",
                f"take it out, the ledger does it; or write WHERE version = '{metadata.version}'",
            )
        for name in dict.fromkeys(others):
            if name in required and one.what in _ASKS:
                continue
            yield _row(
                parsed,
                one,
                f"{one.what} is about {name!r}, but this is {metadata.version!r}",
                f"write '{metadata.version}', or take it out: the ledger does it"
                + ("; what must be applied before belongs under `dependencies`" if one.what in _ASKS else ""),
            )


_ASKS = ("DO that checks schema_migrations", "SELECT from schema_migrations")
"""May look for a migration that this one depends on."""


def _row(parsed: ParsedFile, one: LeftOut, message: str, hint: str) -> Finding:
    return Finding(VERSION_RULE, Severity.ERROR, message, hint, file=parsed.file, line=one.line, column=one.column)


def _header(metadata: Metadata, parsed: ParsedFile, rollback: bool) -> Iterator[Finding]:
    """The description of a rollback script, and of the file of a step, is its own: it says what that does."""
    own = rollback or version_of(parsed.file) != version_of(metadata.version)
    for field in header.read(parsed):
        if own and field.key == "description":
            continue
        said = _said(metadata, parsed, field)
        if said is not None:
            yield Finding(
                HEADER_RULE,
                Severity.WARNING,
                f"the header says {field.name}: {field.value}, but the metadata says {said}",
                "make both say the same: reviewers read the one, the engine the other",
                file=parsed.file,
                line=field.line,
                column=field.column,
            )


def _said(metadata: Metadata, parsed: ParsedFile, field: Field) -> str | None:
    """What the metadata says instead; None when they agree."""
    if field.key == "version":
        agree, said = is_of(field.value, metadata.version), metadata.version
    elif field.key == "file":
        agree, said = version_of(field.value) == version_of(parsed.file), parsed.file
    elif field.key == "author":
        agree, said = _contains(_words(field.value), _words(metadata.author)), metadata.author
    elif field.key == "description":
        agree, said = _contains(_words(field.value), _words(metadata.description)), metadata.description
    elif field.key == "risk_level":
        agree, said = metadata.risk_level.value in _words(field.value), metadata.risk_level.value
    else:
        named = [name for name in re.split(r"[,\s]+", field.value) if re.match(r"[0-9]", name)]
        agree = all(any(is_of(name, needed) for needed in metadata.dependencies) for name in named)
        said = ", ".join(metadata.dependencies) or "nothing"
    return None if agree else said


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[\w.@+-]*\w", text.lower()))


def _contains(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether one of the two says what the other says and more: "Add tables" and "Add tables for analytics"."""
    short, long = sorted((one, other), key=len)
    return any(long[start : start + len(short)] == short for start in range(len(long) - len(short) + 1))
