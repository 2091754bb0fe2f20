"""What may be told of the output of pg_dump and pg_restore.

They repeat a server's MESSAGE, DETAIL and CONTEXT as text, without the fields that `database.told` decides by, and a
line of COPY is a row. So a line is told when all of it fits a template here, or as far as it fits one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from migrator.wording import count

_PROGRAM = r"pg_(?:dump|restore|dumpall): (?:\[[a-z ]+\] )?(?:(?:error|warning|detail|hint|fatal): )?"
_OWN = re.compile(_PROGRAM)
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
_KINDS = (
    "(?:table|view|materialized view|foreign table|relation|column|sequence|schema|database|function|procedure|routine"
    "|type|domain|language|large object|tablespace|extension|publication|subscription|event trigger|foreign server"
    "|foreign-data wrapper|index|aggregate|operator|collation|conversion|role|statistics object)"
)
_SERVER = re.compile(
    rf"(?:ERROR|FATAL):  (?:(permission denied (?:for|to create) {_KINDS}|must be owner of {_KINDS}) {_NAME}"
    r"|(canceling statement due to (?:lock timeout|statement timeout|user request))"
    rf"|((?:role|schema|type|extension|tablespace|database|language)) {_NAME}"
    r"( does not exist| already exists| is not available)"
    r"|(terminating connection due to (?:administrator command|conflict with recovery|idle-in-transaction timeout)"
    r"|the database system is (?:starting up|shutting down|in recovery mode)|out of memory"
    r"|sorry, too many clients already)"
    rf"|(could not create unique index|could not access file) {_NAME}.*"
    rf"|(duplicate key value|insert or update on table) ?(?:{_NAME} )?"
    rf"(violates (?:unique|foreign key|check|exclusion) constraint) {_NAME}"
    r"|(relation|function|procedure|operator|column)(?: .+)?( does not exist)(?:: .+)?"
    rf"|(value for domain|new row for relation) {_NAME} (violates check constraint) {_NAME})"
)
"""Messages of a server by their kind alone. Any function may RAISE a text that looks like one of them, with a row in
place of the name, and the program does not say where it comes from: so names are not told."""
_STATES = {
    "relation … does not exist": "42P01",
    "type … does not exist": "42704",
    "function … does not exist": "42883",
    "procedure … does not exist": "42883",
    "operator … does not exist": "42883",
    "column … does not exist": "42703",
    "value for domain … violates check constraint": "23514",
    "new row for relation … violates check constraint": "23514",
}
"""What a function, called while rows are restored, does not find, or finds before its time; with the SQLSTATE, which
the programs do not print."""
_WITHOUT_WORDS = re.compile(r"error: COPY failed for table \S+$", re.MULTILINE)
EMPTY_PATH = (
    "a restore has an empty search_path and fills tables one after the other: look for functions in indexes,"
    " CHECK, generated columns and domains that read other tables or call functions without a path of their own"
)
_SEVERITY = re.compile(r"[^\W\d_]{3,}:  ")
"""Of a server's message, in any language; the programs' own severities have one blank."""


def told_of(output: str, *, most: int) -> str:
    """The last lines that may be told; how many there are besides is said. Pure."""
    lines = [line for line in output.strip().splitlines() if line.strip()]
    shown = list(_told(lines))
    left = len(lines) - len(shown)
    if not lines:
        return "no output"
    more = [f"({count(left, 'more line')} of its output may hold rows)"] if left else []
    return "\n".join([*shown[-most:], *more])


def advice_on(told: str) -> str:
    """Where to look, for what `told_of` gives of a restore; "" when it tells why. Pure."""
    missed = any(f"{words} ({state})" in told for words, state in _STATES.items())
    return f"\n{EMPTY_PATH}" if missed or _WITHOUT_WORDS.search(told) else ""


def _told(lines: Iterable[str]) -> Iterator[str]:
    """Up to the first line with words of a server's: a message may have line breaks, and after them what looks like a
    line of the program's, a CONTEXT, or the entry of another object."""
    for line in lines:
        begins = _BEGINS.fullmatch(line)
        if begins:
            said = _SERVER.fullmatch(line[len(begins[1]) :].removeprefix(": "))
            yield begins[1] + (f": {_kind(said)}" if said else "")
        elif _WHOLE.fullmatch(line) and "ERROR:" not in line:
            yield line
        if begins or _SEVERITY.search(line) or not _OWN.match(line):
            return


def _kind(said: re.Match[str]) -> str:
    words = " … ".join(part.strip() for part in said.groups() if part)
    return f"{words} ({_STATES[words]})" if words in _STATES else words
