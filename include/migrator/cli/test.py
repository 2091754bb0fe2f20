"""`migrator test`: what the pipeline does with a migration, on a server of our own: apply, check, roll back, compare,
apply again. Works without Airflow and without any database."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from migrator.cli import options

if TYPE_CHECKING:
    from migrator.cli.local_trial import Trial
    from migrator.cli.output import Output
    from migrator.evidence import ObservedLock, StatementTrace

STYLE = {"passed": "good", "failed": "bad", "unverified": "warning"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("version", metavar="VERSION", help="the migration; what it depends on is applied first")
    options.add_catalogue_arguments(parser)
    group = parser.add_argument_group("server")
    group.add_argument(
        "--postgres-major",
        type=int,
        choices=(14, 15, 16, 17, 18),
        help="PostgreSQL major of the server that is started for it (default: the newest one here)",
    )


def run(args: argparse.Namespace, out: Output) -> int:
    from migrator.catalogue.catalogue import load_catalogue
    from migrator.cli.local_trial import try_migration
    from migrator.embedded.programs import find_programs

    catalogue = load_catalogue(options.catalogue_root(args), cache=args.cache)
    catalogue.require(args.version)
    programs = find_programs(args.postgres_major)
    with _terminable():
        trial = try_migration(catalogue, args.version, programs=programs)
    _print(out, trial, server=programs.version)
    return 0 if trial.evidence.verdict == "passed" else 1


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends us as Ctrl-C does, so that no server stays behind."""

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _print(out: Output, trial: Trial, *, server: str) -> None:
    version, evidence = trial.plan.version, trial.evidence
    out.document(
        {
            "version": version,
            "verdict": evidence.verdict,
            "outcome": evidence.outcome,
            "server_version": server,
            "dependencies": trial.before,
            "evidence": evidence,
        }
    )
    first = f", after {', '.join(trial.before)}" if trial.before else ""
    out.line(f"{version} on PostgreSQL {server}{first}", style="strong")
    out.line()
    out.table(
        ("check", "verdict", "seconds", "detail"),
        ((check.name, check.verdict, f"{check.seconds:.3f}", check.detail) for check in evidence.checks),
    )
    out.line()
    out.table(("line", "statement", "seconds", "rows", "locks"), (_row(trace) for trace in evidence.statements))
    if trial.plan.left_out:
        out.line()
        out.line("left out, the engine does it", style="strong")
        for one in trial.plan.left_out:
            out.line(f"  {one.file}:{one.line} {one.what}")
    if evidence.schema_diff:
        out.line()
        for line in evidence.schema_diff:
            out.line(line, style="good" if line.startswith("+") else "bad" if line.startswith("-") else "warning")
    out.line()
    style = "warning" if evidence.unproved or evidence.idle else STYLE[evidence.verdict]
    out.line(f"{version}: {evidence.outcome}", style=style)


def _row(trace: StatementTrace) -> tuple[object, ...]:
    rows = None if trace.rows < 0 else trace.rows
    return (trace.line, trace.kind, f"{trace.seconds:.3f}", rows, _locks(trace.locks) or "none that others hold")


def _locks(locks: tuple[ObservedLock, ...]) -> str:
    return ", ".join(f"{lock.mode} on {lock.relation}" for lock in locks)
