"""psql's meta-commands: what to write instead, since a migration is sent to the server as SQL."""

from __future__ import annotations


def advice(name: str) -> str:
    """What to write instead of a psql meta-command."""
    for names, advice in _ADVICE:
        if name.rstrip("+") in names:
            return advice
    return "remove it: the migration is sent to the server as SQL, psql never reads it"


_ADVICE: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("\\i", "\\ir", "\\include", "\\include_relative"),
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
