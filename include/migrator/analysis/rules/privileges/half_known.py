"""Texts that become SQL at run time, of which only a part is known."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.privileges import other_databases, other_sessions, run_by_others, server_files
from migrator.analysis.walk.script import Script
from migrator.analysis.walk.spots import OPEN, UNREAD, Spot
from migrator.parsing.nodes import strings
from migrator.parsing.routines.drafts import MARK
from migrator.plan import Severity

FUNCTIONS = server_files.FUNCTIONS | other_sessions.FUNCTIONS | other_databases.FUNCTIONS | {"set_config"}
SUSPECT = re.compile(
    rf"(?:^|;)\s*(?:alter|grant|copy|create|drop|set)\s*{MARK}"
    r"|\b(?:"
    r"(?:alter|create|drop)\s+(?:role|user|group|system|database|event\s+trigger|server|subscription|language)\b"
    r"|set\s+(?:local\s+|session\s+)?(?:role|session\s+authorization)\b|reset\s+(?:role|session\s+authorization|all)\b"
    r"|session_replication_role|security\s+definer|owner\s+to|reassign\s+owned|bypassrls|superuser"
    rf"|copy\b[^;]*\b(?:program|from\s+'|to\s+')|grant\s+(?:(?!\bon\b)[^;])*?\bto\b|grant\b[^;]*\bto\s+(?:{MARK}|public\b)"
    rf"|(?:{'|'.join(sorted(FUNCTIONS))})\s*\("
    r")",
    re.IGNORECASE,
)
UPDATING = re.compile(r"\bupdate\b[^;]*$", re.IGNORECASE)
"""What stands before SET where it is a clause."""
UNSCRAMBLING = frozenset(["chr", "convert_from", "decode", "overlay", "reverse", "translate"])
"""Functions that make a text of one that nobody can read."""
SHOWN = 60


def check(spot: Spot) -> Iterator[Hit]:
    if spot.kind == "FuncCall":
        name = strings(spot.node.funcname)[-1]
        if spot.around.making and name in UNSCRAMBLING:
            yield Hit(f"nobody can read what is run: {name}() makes it readable")
        return
    found = next(_suspects(spot.node), None)
    if found is not None:
        yield Hit(f"only a part of it is known before it runs: {_short(spot.node[found.start() :])}")
    elif spot.kind == OPEN and spot.around.definer:
        yield Hit(f"what fills the gaps runs with the rights of the owner: {_short(spot.node)}")
    elif spot.kind == OPEN and spot.around.routine:  # what runs by itself is `not-analysed`'s
        if user := run_by_others.user_of(spot):
            yield Hit(f"what fills the gaps runs with the rights of others, for {user}: {_short(spot.node)}")
        else:
            yield Hit(f"only a part of it is known before it runs: {_short(spot.node)}", severity=Severity.INFO)


def used(script: Script) -> Iterator[Hit]:
    for name, subject in run_by_others.half_known(script):
        yield Hit(
            f"{name}() runs with the rights of others from then on, and only a part of what it runs is known before",
            subject=subject,
        )


def _suspects(text: str) -> Iterator[re.Match[str]]:
    for found in SUSPECT.finditer(text):
        if not (found[0].lower().startswith("set") and UPDATING.search(text[: found.start()])):
            yield found


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + MARK


RULE = Rule(
    id="half-known-text",
    severity=Severity.WARNING,
    condition="EXECUTE of a text that is put together at run time, or code that cannot be read, where what is known"
    " of it is about roles, rights, the server or its files, or where it runs with the rights of another than who"
    " wrote it or calls it: of a function's owner, or for an index, a CHECK, a default, a generated column, a policy, a"
    " rule, a view or a trigger",
    effect="whom it is for, or what is done, is decided when it runs, and nobody has reviewed that",
    alternative="write the statement itself; format() with %I for names and %L for texts leaves nothing else open",
    without_sql="always: what it should say, nobody knows but its author",
    source=DOCS + "plpgsql-statements.html#PLPGSQL-STATEMENTS-EXECUTING-DYN",
    spot=check,
    script=used,
    kinds=(UNREAD, OPEN, "FuncCall"),
    in_rollback=True,
)
