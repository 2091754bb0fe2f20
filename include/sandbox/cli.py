"""The command line of the local stack: `sandbox demo|up|down|status|seed`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from migrator.database.session import Endpoint
from migrator.errors import EnvironmentFault, MigratorError, UsageError
from sandbox.workspace import Workspace

OK, FINDINGS, USAGE, ENVIRONMENT, INTERRUPTED = 0, 1, 2, 3, 130
DEMO_MESSAGES = 1_000_000


def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    console = Console(highlight=False)
    errors = Console(stderr=True, highlight=False)
    try:
        return int(args.run(args, console))
    except KeyboardInterrupt:
        errors.print("interrupted; everything was stopped")
        return INTERRUPTED
    except MigratorError as error:
        errors.print(str(error), markup=False)
        if isinstance(error, UsageError):
            return USAGE
        return ENVIRONMENT if isinstance(error, EnvironmentFault) else FINDINGS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sandbox", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    default = Workspace.default().root

    demo = commands.add_parser("demo", help="run the demonstration; nothing is left running")
    demo.add_argument("--messages", type=int, default=DEMO_MESSAGES)
    demo.add_argument("--directory", type=Path, default=default / "demo")
    demo.add_argument("--wait", action="store_true", help="keep the UI up until Enter is pressed")
    demo.set_defaults(run=_demo)

    up = commands.add_parser("up", help="start the stack and leave it running")
    up.add_argument("--directory", type=Path, default=default / "up")
    up.set_defaults(run=_up)

    for name, run, text in (
        ("down", _down, "stop the stack; its data stays"),
        ("status", _status, "say what is running, and where"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--directory", type=Path, default=default / "up")
        command.set_defaults(run=run)

    seed = commands.add_parser("seed", help="fill the tables of 000_initial_schema with messages")
    add_seed_arguments(seed)
    seed.add_argument("--directory", type=Path, default=default / "up")
    seed.set_defaults(run=_seed)
    return parser


def add_seed_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--messages", type=int, default=DEMO_MESSAGES, help="how many (default: %(default)s)")
    parser.add_argument("--database", help="libpq connection string; default: the production of the local stack")
    parser.add_argument("--number", type=int, default=1, help="the same number gives the same rows")


def _demo(args: argparse.Namespace, console: Console) -> int:
    from sandbox.demo import Demo

    return Demo(Workspace(args.directory.resolve()), messages=args.messages, console=console, wait=args.wait).run()


def _up(args: argparse.Namespace, console: Console) -> int:
    from sandbox.local import Local, down, refuse_if_running

    workspace = Workspace(args.directory.resolve())
    refuse_if_running(workspace)
    local = Local(workspace, detached=True)
    try:
        local.start_servers()
        local.start_airflow()
        local.remember()
        admin = local.airflow.client()
        admin.wait_for_dags({"housekeeping"})
        admin.trigger("housekeeping", {})  # which measures what work costs, before an analysis could use it
    except BaseException:
        local.stop()
        down(workspace)
        raise
    return _status(args, console)


def _down(args: argparse.Namespace, console: Console) -> int:
    from sandbox.local import down

    stopped = down(Workspace(args.directory.resolve()))
    console.print(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")
    return OK


def _status(args: argparse.Namespace, console: Console) -> int:
    from sandbox.local import alive

    workspace = Workspace(args.directory.resolve())
    running = alive(workspace)
    if not running:
        console.print("nothing is running; start it with `make up`")
        return FINDINGS
    state = workspace.read_state()
    console.print(f"running: {', '.join(running)}")
    console.print(f"Airflow: {state['url']}", markup=False)
    for user, role in state["users"].items():
        console.print(f"  user: {user}  password: {workspace.secret(f'user_{user}')}  ({role})", markup=False)
    console.print(f"production: {state['production']}", markup=False, soft_wrap=True)
    console.print(
        f"logs: {workspace.logs}; a shell for it: . {workspace.root}/airflow.env", markup=False, soft_wrap=True
    )
    return OK


def _seed(args: argparse.Namespace, console: Console) -> int:
    conninfo = args.database or Workspace(args.directory.resolve()).read_state().get("production")
    if conninfo is None:
        raise UsageError("no stack is running: start it with `make up`, or name a --database")
    return seed_database(conninfo, messages=args.messages, number=args.number, console=console)


def seed_database(conninfo: str, *, messages: int, number: int, console: Console) -> int:
    from sandbox.seed import seed

    done = seed(Endpoint(conninfo), messages=messages, number=number)
    console.print(
        f"{done.messages:,} messages, {done.contacts:,} contacts, {done.users:,} users, {done.tenants} tenants"
        f" in {done.seconds:.1f} s"
    )
    return OK


if __name__ == "__main__":
    sys.exit(main())
