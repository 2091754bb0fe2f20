"""A shell script in the place of SQL: what its commands do here, since no shell runs a migration.

Runbooks keep their SQL inside of commands (`psql ... << EOF`), and people copy both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_COMMANDS = (
    "psql", "pg_dump", "pg_restore", "pg_basebackup", "createdb", "dropdb", "aws", "gcloud", "az", "kubectl", "docker",
    "watch", "sudo", "ssh", "curl", "bash", "sh", "source", "export", "echo", "sleep",
)  # fmt: skip
_FIRST = re.compile(r"\s*(?:#|\./|(?:{})\s)".format("|".join(_COMMANDS)))
_COMMAND = re.compile(r"\s*(?P<name>\./\S+|(?:{})(?=\s|$))".format("|".join(_COMMANDS)))
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(?P<end>\w+)\1")
_SILENT = ("echo", "sleep", "export", "source")
"""Do nothing that a migration would miss."""

_ADVICE: tuple[tuple[str, str], ...] = (
    (
        r"psql\b.*<<",
        "put what stands between << and its end into the file, without the backslashes before $: the engine connects"
        " and sends it",
    ),
    (r"psql\b.*\s-f\b", "put that file here: `migrator test VERSION` rehearses it, the pipeline applies it"),
    (r"psql\b.*\s-c\b", "put the SQL that stands in the quotes into the file; what only looks on belongs elsewhere"),
    (r"psql\b", "put the SQL itself into the file: the engine connects and sends it"),
    (r"(aws|gcloud|az)\b.*(restore|recover)", "no migration's work: the stage `rollback` undoes what was applied"),
    (
        r"pg_dump\b|pg_basebackup\b|.*snapshot|.*backup",
        "remove it: the stages `snapshot` and `restore_test` make a copy before each run, and prove that it restores",
    ),
    (r"kubectl\b|docker\b", "write two migrations, and deploy the application between them"),
    (r"\./\S*analy[sz]e", "run `migrator analyze VERSION`"),
    (r"\./\S*ticket", "remove it: the metadata's `schedule` says when, and the stage `review` asks the reviewers"),
    (r"\./\S*validate", "write schema_changes.yaml, and queries under `verify` in the metadata"),
    (r"\./\S*test", "run `migrator test VERSION`"),
    (r"\./\S*(backfill|batch)", "write the UPDATE into a file of its own, and a step of kind backfill for it"),
    (r"watch\b", "remove it: `migrator status` and the pipeline's page say how far it is"),
)


def commands(text: str) -> Iterator[tuple[int, str, str]]:
    """Offset, name and advice of each command, when the text is a shell script; nothing when it is none."""
    if _FIRST.match(text) is None:
        return
    found = list(_commands(text))
    telling = [one for one in found if one[1] not in _SILENT]
    yield from telling or found


def _commands(text: str) -> Iterator[tuple[int, str, str]]:
    offset, until, quoted = 0, "", False
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if until:
            until = "" if line.strip() == until else until
        elif not quoted:
            continued = number > 0 and lines[number - 1].rstrip("\r\n").endswith("\\")
            match = None if continued else _COMMAND.match(line)
            if match is not None:
                yield offset + match.start("name"), match["name"], _advice(_whole(lines, number))
            opened = _HEREDOC.search(line)
            until = opened["end"] if opened is not None else ""
        if not until and not line.lstrip().startswith("#"):
            quoted ^= len(re.findall(r'(?<!\\)"', line)) % 2 == 1
        offset += len(line)


def _whole(lines: list[str], number: int) -> str:
    """A command with the lines that continue it."""
    end = number
    while end + 1 < len(lines) and lines[end].rstrip("\r\n").endswith("\\"):
        end += 1
    return " ".join(line.strip().rstrip("\\") for line in lines[number : end + 1])


def _advice(command: str) -> str:
    found = (advice for pattern, advice in _ADVICE if re.match(pattern, command))
    return next(found, "remove it: the file is sent to the server as SQL, no shell reads it")
