"""psql's meta-commands: what to write instead, since a migration is sent to the server as SQL."""

from __future__ import annotations

import re
from pathlib import PurePosixPath


def advice(name: str, arguments: str = "") -> str:
    """What to write instead of a psql meta-command."""
    if name in _INCLUDES and arguments.endswith(".sql"):
        return _included(PurePosixPath(arguments))
    if name == "\\set" and arguments.upper().startswith("ON_ERROR_"):
        return "remove it: the engine stops at the first error, and rolls the file's transaction back"
    for names, advice in _ADVICE:
        if name.rstrip("+") in names:
            return advice
    return "remove it: the migration is sent to the server as SQL, psql never reads it"


_INCLUDES = ("\\i", "\\ir", "\\include", "\\include_relative")


def _included(file: PurePosixPath) -> str:
    if file.stem.endswith("_rollback"):
        return (
            "remove it: the engine runs the rollback script itself, when apply or verify fails or a person asks for it"
        )
    name = re.sub(r"[^a-z0-9]+", "_", file.stem.lower()).strip("_")
    return (
        "put the statements of that file here, or the file into this folder, and name both in their order: "
        f"`steps: [{{name: {name}, kind: sql, file: {file.name}}}, ...]`"
    )


_ADVICE: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        _INCLUDES,
        "put the statements of that file here, or name it as a step of its own under `steps`",
    ),
    (
        ("\\set", "\\unset", "\\gset", "\\prompt", "\\getenv", "\\bind"),
        "write the value itself: psql variables do not exist here",
    ),
    (
        ("\\if", "\\elif", "\\else", "\\endif"),
        "write one migration for each case, or test inside a DO block: DO $$ BEGIN IF ... THEN ... END IF; END $$",
    ),
    (
        ("\\gexec",),
        "write out what it would generate, or use a DO block with FOR ... LOOP EXECUTE format(...); END LOOP",
    ),
    (("\\g", "\\gx", "\\watch", "\\crosstabview", "\\gdesc", "\\;"), "end the statement with a semicolon"),
    (("\\copy",), "use INSERT ... VALUES for a few rows; load bulk data outside the migration"),
    (("\\connect", "\\c"), "remove it: the target decides which database and role a migration uses"),
    (("\\.",), "this ends inline COPY data, but no COPY ... FROM STDIN stands before it; remove it"),
)
