"""`migrator new --from FILE:LINE`: the steps that a rule offers in the place of the statement there."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from migrator.cli import options
from migrator.errors import EnvironmentFault, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.parsing.statements import ParsedFile, ParsedStatement
    from migrator.plan import Finding, Suggestion


@dataclass(frozen=True)
class Found:
    """The statement and what does the same."""

    path: Path
    version: str | None
    """The migration that it stands in; None for a bare file."""
    parsed: ParsedFile
    statement: ParsedStatement
    rule: str
    steps: tuple[Suggestion, ...]

    @property
    def lines(self) -> str:
        """Where it stands: "a.sql:3-5"."""
        last = self.parsed.lines.place(self.statement.end)[0]
        return f"{self.path}:{self.statement.line}" + (f"-{last}" if last > self.statement.line else "")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "statement",
        "With --from the migration does in steps what a statement does that `migrator analyze` has a finding about. A"
        " connection tells sizes, types and constraints.",
    )
    group.add_argument("--from", dest="place", metavar="FILE:LINE", help="where the statement stands")
    options.add_connection_arguments(parser)


def found_at(args: argparse.Namespace) -> Found | None:
    """None without --from.

    :raises UsageError: no statement, no finding or no recipe is there, or it would do something else.
    :raises EnvironmentFault: no such file.
    """
    if args.place is None:
        return None
    path, line = _place(args.place)
    version, parsed, findings = _inspected(path, args)
    statement = _statement(parsed, path, line)
    about = [one for one in findings if one.statement == statement.index and one.file == parsed.file]
    what = f"{path}:{statement.line}: {statement.kind}"
    if not about:
        hint = "" if args.target or args.dsn is not None else "; with --target or --dsn the database's sizes are known"
        raise UsageError(f"{what}: no rule has anything to say of it, so there is nothing to do otherwise{hint}")
    best = next((one for one in about if one.steps), None)
    if best is None:
        rules = ", ".join(dict.fromkeys(one.rule for one in about))
        raise UsageError(
            f"{what}: no step kind does that ({rules}); `migrator analyze {path}` says what to do instead, and"
            " `migrator new --kind` writes a step from what you tell it"
        )
    if (why := _refused(best.steps, args)) is not None:
        raise UsageError(f"{what}: a step of kind backfill would be refused: {why}")
    return Found(path, version, parsed, statement, best.rule, best.steps)


def _place(text: str) -> tuple[Path, int]:
    match = re.fullmatch(r"(.+):([1-9][0-9]*)(:[0-9]+)?", text)
    if match is None:
        raise UsageError(f"--from {text!r}: write FILE:LINE, such as migrations/2025/004_labels/004_labels.sql:7")
    path = Path(match[1])
    if not path.is_file():
        raise EnvironmentFault(f"--from: there is no file {match[1]!r}")
    return path, int(match[2])


def _statement(parsed: ParsedFile, path: Path, line: int) -> ParsedStatement:
    there = [one for one in parsed.statements if one.line <= line <= parsed.lines.place(one.end)[0]]
    if len(there) > 1:
        raise UsageError(f"{path}:{line}: {len(there)} statements stand there; write each on lines of its own")
    if not there:
        starts = sorted(parsed.statements, key=lambda one: abs(one.line - line))
        hint = f"; the nearest begins in line {starts[0].line}" if starts else ""
        raise UsageError(f"{path}:{line}: no statement stands there{hint}")
    return there[0]


def _inspected(path: Path, args: argparse.Namespace) -> tuple[str | None, ParsedFile, Sequence[Finding]]:
    """As `migrator analyze` sees it, with what the target's catalog says where there is a connection.

    :raises InvalidInput: the file cannot be run.
    """
    from migrator.analysis.effects import ASSUMED
    from migrator.analysis.inspection import inspect
    from migrator.analysis.known import Known, Sources
    from migrator.catalogue import scripts
    from migrator.cli.analyze_server import Server
    from migrator.cli.batch import surroundings
    from migrator.errors import InvalidInput
    from migrator.parsing.sql_text import read_sql

    version = scripts.version_of(path)
    parsed = scripts.read(read_sql(path), file=str(path), version=version)
    if parsed.problems:
        raise InvalidInput(problems=parsed.problems)
    with Server(options.endpoint(args, required=False), schema=None, validate=False) as server:
        before, others = surroundings(path, args.migrations, ASSUMED, server.past)
        facts, basis = server.look((parsed,), before.files)
        found = inspect(Sources((parsed,)), Known(facts, basis, before=before, pending=others)).findings
    return version, parsed, found


def _refused(steps: Sequence[Suggestion], args: argparse.Namespace) -> str | None:
    """Why they would not do what the statement does. Without a connection the dry run tells."""
    from migrator.cli.analyze_server import Server

    with Server(options.endpoint(args, required=False), schema=None, validate=False) as server:
        return server.refused(steps)
