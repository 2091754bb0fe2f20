"""The command line: `migrator COMMAND`. This file only finds the command, runs it and turns errors into exit codes.

A command is a module with `add_arguments(parser)` and `run(args, out) -> int` (and `FORMATS`, when it prints more than
text and JSON). It is imported when it is asked for, so `migrator check` pays for neither psycopg nor the SQL grammar of
a command that it does not run.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from migrator import __version__, errors
from migrator.cli.output import Output
from migrator.database import withheld

OK = 0
FINDINGS = 1
USAGE = 2
ENVIRONMENT = 3
INTERRUPTED = 130
"""128 + SIGINT, what a shell expects of a program stopped with Ctrl-C."""

EXIT_CODES = """exit codes:
  0  all is well
  1  findings: a check failed, a file is wrong, or a gate refused
  2  usage: the command line makes no sense
  3  environment: a server, a program or a directory is not there
"""


NO_CONNECTION = (
    "libpq decided where to connect, by its PG* variables and service file: give --dsn DSN, or --connections FILE (or"
    " $MIGRATOR_CONNECTIONS) with a connection string for each target; Airflow's connections are not known here"
)


@dataclass(frozen=True)
class Command:
    name: str
    module: str
    help: str


COMMANDS: tuple[Command, ...] = (
    Command("new", "migrator.cli.new", "write the files of a new migration"),
    Command("check", "migrator.cli.check", "check every migration, without a database"),
    Command("analyze", "migrator.cli.analyze", "say what a migration would do: locks, rewrites, risk, findings"),
    Command("plan", "migrator.cli.plan", "make the plan of a migration for a target"),
    Command("test", "migrator.cli.test", "apply, verify, roll back and apply again on an embedded server"),
    Command("status", "migrator.cli.status", "show what is applied to a target, or how far one migration is"),
    Command("pause", "migrator.cli.pause", "let a migration that works in batches wait"),
    Command("resume", "migrator.cli.resume", "let a paused migration go on"),
    Command("tune", "migrator.cli.tune", "change the size of a running migration's batches, or the pause between them"),
    Command("baseline", "migrator.cli.baseline", "adopt a database whose migrations were applied by hand"),
    Command("rollback", "migrator.cli.rollback", "undo by hand what a migration has applied to a target"),
    Command("janitor", "migrator.cli.janitor", "find, and drop, what migrations that are over have left in a target"),
    Command("ledger", "migrator.cli.ledger", "verify, show or repair a target's ledger"),
    Command("seal", "migrator.cli.seal", "write down who committed each migration, for the deployment"),
    Command("calendar", "migrator.cli.calendar", "print the migration calendar, also as iCalendar"),
    Command("schema", "migrator.cli.schema", "print the JSON Schema of a YAML file, for editors"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. A person's mistake gives a message, never a traceback."""
    try:
        args = build_parser().parse_args(argv)
    except SystemExit as stop:  # argparse has already said what is wrong
        return stop.code if isinstance(stop.code, int) else USAGE
    except errors.MigratorError as error:
        return _report(error, Output())
    out = Output(format=getattr(args, "format", "text"))
    with withheld.kept_by(_keeper(args, out)):
        return _run(args, out)


def _run(args: argparse.Namespace, out: Output) -> int:
    try:
        code = args.run(args, out)
        sys.stdout.flush()
    except BrokenPipeError:  # `migrator calendar | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except KeyboardInterrupt:
        out.error("interrupted")
        return INTERRUPTED
    except errors.MigratorError as error:
        code = _report(error, out)
        if str(error).startswith("cannot connect to") and _left_to_libpq(args):
            out.note(NO_CONNECTION)
        return code
    except Exception as error:
        if (known := _of_the_driver(error)) is not None:
            return _report(known, out)
        if not isinstance(error, OSError):
            raise
        out.error(f"{error.filename or 'operating system'}: {error.strerror or error}")
        return ENVIRONMENT
    return int(code)


def _left_to_libpq(args: argparse.Namespace) -> bool:
    return hasattr(args, "dsn") and args.dsn is None and args.connections is None


def state_folder() -> Path:
    """Where the XDG Base Directory Specification keeps what is neither a setting nor can be made again."""
    return Path.home() / ".local" / "state" / "migrator" / "withheld"


def _keeper(args: argparse.Namespace, out: Output) -> withheld.Keeper:
    def find() -> withheld.LocalFile:
        if args.withheld is not None:
            return withheld.LocalFile(args.withheld)
        return withheld.file_of_command(args.command, folder=state_folder())

    return withheld.Keeper(find, out.note)


def _of_the_driver(error: Exception) -> errors.MigratorError | None:
    """An error of psycopg's that nobody has translated: a traceback would print rows."""
    if "psycopg" not in sys.modules:
        return None
    import psycopg

    from migrator.database.translate import to_engine_error

    return to_engine_error(error) if isinstance(error, psycopg.Error) else None


def exit_code(error: errors.MigratorError) -> int:
    """Which of the documented codes an error of the engine stands for."""
    if isinstance(error, errors.UsageError):
        return USAGE
    if isinstance(error, (errors.EnvironmentFault, errors.TransientError, errors.ProgramFailed)):
        return ENVIRONMENT
    return FINDINGS


class _Help(argparse.HelpFormatter):
    """Lines of a description stay lines, and none is wider than the terminal."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = (self._fill(line, width, indent) for line in text.splitlines())
        return "\n".join(lines)

    def _fill(self, line: str, width: int, indent: str) -> str:
        inner = indent + line[: len(line) - len(line.lstrip())]
        return textwrap.fill(line.strip(), width, initial_indent=inner, subsequent_indent=inner)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="migrator",
        description="Migrations of live PostgreSQL databases: check, plan, rehearse, apply, prove.",
        epilog=EXIT_CODES,
        formatter_class=_Help,
    )
    parser.add_argument("--version", action="version", version=f"migrator {__version__}")
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="command", required=True, parser_class=_LazyParser
    )
    for command in COMMANDS:
        commands.add_parser(
            command.name,
            help=command.help,
            description=command.help[0].upper() + command.help[1:] + ".",
            command=command,
            epilog=EXIT_CODES,
            formatter_class=_Help,
        )
    return parser


class _LazyParser(argparse.ArgumentParser):
    """The parser of one command: imports the command's module when its arguments are first needed."""

    def __init__(self, *, command: Command | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._command = command

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self._load()
        return super().parse_known_args(args, namespace)

    def _load(self) -> None:
        if self._command is None:
            return
        module = _import(self._command)
        self._command = None
        formats = getattr(module, "FORMATS", ("text", "json"))
        self.add_argument("--format", choices=formats, default="text", help="what to print (default: text)")
        self.add_argument(
            "--withheld",
            type=Path,
            metavar="FILE",
            help="where to keep a server's words that may hold rows (default: a file of its own in your state folder)",
        )
        module.add_arguments(self)
        self.set_defaults(run=module.run)


def _import(command: Command) -> ModuleType:
    try:
        return importlib.import_module(command.module)
    except ModuleNotFoundError as missing:
        if missing.name is None or not (command.module + ".").startswith(missing.name + "."):
            raise errors.EnvironmentFault(
                f"`migrator {command.name}` needs the Python package {missing.name!r}: pip install -r requirements.txt"
            ) from missing
        raise errors.EnvironmentFault(f"`migrator {command.name}` is not part of this installation") from missing


def _report(error: errors.MigratorError, out: Output) -> int:
    problems = error.fields.get("problems", ())
    if isinstance(error, errors.InvalidInput) and problems:
        out.problems(problems)
    elif out.json:
        out.document({"error": type(error).__name__, "message": str(error)})
    out.error(str(error).splitlines()[0] if problems else str(error))
    return exit_code(error)
