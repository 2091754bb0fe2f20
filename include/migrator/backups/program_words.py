"""What may be told of the output of pg_dump and pg_restore.

They repeat a server's MESSAGE, DETAIL and CONTEXT as text, without the fields that `database.told` decides by, and a
line of COPY is a row. So a line is told when all of it fits a template here, or as far as it fits one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.database.frames import frames

_PROGRAM = r"pg_(?:dump|restore|dumpall): (?:\[[a-z ]+\] )?(?:(?:error|warning|detail|hint|fatal): )?"
_NAME = r'(?:"[^"]+"|[\w.]+)'
_WHOLE = re.compile(
    rf"{_PROGRAM}(?:"
    r"connection to server .* failed: .*|connection to database .* failed: .*|could not translate host name .*"
    r"|server version: .*|aborting because of server version mismatch|no matching .* were found"
    r"|could not (?:open|read|write|close|create|find|stat|seek|fsync|rename|access|uncompress|compress|initialize)\b.*"
    r"|input file .*|unsupported .*|unrecognized .*|directory .*|file .*|.*: No space left on device"
    r"|(?:from TOC entry|while) .*|a worker process died unexpectedly|.*: (?:unexpected end of file|premature EOF)"
    r"|corrupt .*|crc mismatch.*|invalid .* (?:header|magic|version).*"
    r")"
)
"""The programs' own words: files, connections, entries of the table of contents."""
_BEGINS = re.compile(
    rf"({_PROGRAM}(?:COPY failed for table {_NAME}|error returned by PQputCopy(?:Data|End)|could not execute query"
    rf"|query failed|Dumping the contents of table {_NAME} failed|unable to obtain lock on relation {_NAME}))(?::.*)?"
)
"""What a server's words follow."""
_SERVER = re.compile(
    rf"(?:{_PROGRAM})?(?:.*: )?(?:ERROR|FATAL):  ("
    rf"permission denied (?:for|to create) [a-z ]+ {_NAME}|must be owner of [a-z ]+ {_NAME}"
    r"|canceling statement due to (?:lock timeout|statement timeout|user request)"
    rf"|(?:role|schema|type|extension|tablespace|database|language) {_NAME}"
    r" (?:does not exist|already exists|is not available)"
    r"|terminating connection due to [a-z ]+|the database system is [a-z ]+|out of memory"
    r"|sorry, too many clients already"
    rf"|could not create unique index {_NAME}|(?:duplicate key value|insert or update on table {_NAME}) violates"
    rf" [a-z ]+ constraint {_NAME}|could not access file {_NAME}.*"
    r")"
)
"""Messages of a server that name nothing but objects. It is the kinds of objects in them that keep rows out."""
_CONTEXT = "CONTEXT:  "


def told_of(output: str, *, most: int) -> str:
    """The last lines that may be told; how many there are besides is said. Pure."""
    lines = [line for line in output.strip().splitlines() if line.strip()]
    shown = [text for line in lines for text in _told(line)]
    left = len(lines) - len(shown)
    if not lines:
        return "no output"
    more = [f"({left} more lines of its output may hold rows)"] if left else []
    return "\n".join([*shown[-most:], *more])


def _told(line: str) -> Iterator[str]:
    said = _SERVER.fullmatch(line)
    begins = _BEGINS.fullmatch(line)
    if begins:
        rest = _SERVER.search(line)
        yield begins[1] + (f": {rest[1]}" if rest else "")
    elif said:
        yield said[1]
    elif line.startswith(_CONTEXT):
        yield from frames(line.removeprefix(_CONTEXT))
    elif _WHOLE.fullmatch(line) and "ERROR:" not in line:
        yield line
