"""`migrator ledger`: verify, show or repair a target's ledger."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from migrator.cli import options
from migrator.cli.output import Output
from migrator.cli.person import add_person_arguments, run_context
from migrator.errors import NeedsHuman, UsageError

if TYPE_CHECKING:
    from migrator.ledger.ledger import Ledger

Action = Callable[[argparse.Namespace, "Ledger", Output], int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--schema", default="migrator", help="where the ledger lies (default: %(default)s)")
    actions = parser.add_subparsers(
        title="actions", metavar="ACTION", dest="action", required=True, parser_class=argparse.ArgumentParser
    )

    verify = _action(
        actions, "verify", _verify, "check tables and guards, the chain of events, the reviews and the states"
    )
    verify.add_argument(
        "--head", metavar="COUNT:HASH", help="a head that was written down elsewhere; it must still be in the chain"
    )

    show = _action(actions, "show", _show, "show one migration: its row, its steps and its reviews")
    show.add_argument("version", metavar="VERSION")

    events = _action(actions, "events", _events, "print the events, oldest first")
    events.add_argument("version", nargs="?", metavar="VERSION", help="only of this version")
    events.add_argument("--last", type=int, metavar="N", help="only the last N")

    timings = _action(actions, "timings", _timings, "compare what statements took with their estimates and dry runs")
    timings.add_argument("version", nargs="?", metavar="VERSION", help="only of this version")

    repair = _action(actions, "repair", _repair, "say what is true in the database when the ledger cannot know")
    repair.add_argument("version", metavar="VERSION")
    repair.add_argument("--status", required=True, choices=("success", "failed", "rolled_back"))
    add_person_arguments(repair)

    settle = _action(actions, "settle", _settle, "say whether an interrupted statement took effect")
    settle.add_argument("version", metavar="VERSION")
    settle.add_argument("step", metavar="STEP")
    settle.add_argument("--statement", type=int, required=True, metavar="N", help="its number in the step, from 1")
    effect = settle.add_mutually_exclusive_group(required=True)
    effect.add_argument("--done", dest="took_effect", action="store_true", help="it took effect")
    effect.add_argument("--not-done", dest="took_effect", action="store_false", help="it did not; run it again")
    add_person_arguments(settle)

    adopt = _action(actions, "adopt", _adopt, "bind a restored or cloned ledger to the database in which it lies")
    add_person_arguments(adopt)

    _action(actions, "upgrade", _upgrade, "bring the ledger of an older engine to this engine's layout")


def run(args: argparse.Namespace, out: Output) -> int:
    from migrator.ledger.ledger import Ledger

    endpoint = options.endpoint(args)
    if endpoint is None:  # unreachable: options.endpoint() raises when a database is required
        raise UsageError("which database?")
    out.format = args.format
    with Ledger(endpoint, schema=args.schema) as ledger:
        perform: Action = args.perform
        return perform(args, ledger, out)


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, perform: Action, help: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
    # Here too, so that it may stand at the end; SUPPRESS keeps what was given before the action.
    parser.add_argument("--format", choices=("text", "json"), default=argparse.SUPPRESS, help="what to print")
    options.add_connection_arguments(parser)
    parser.set_defaults(perform=perform)
    return parser


def _verify(args: argparse.Namespace, ledger: Ledger, out: Output) -> int:
    count, head = ledger.head()
    found = [*ledger.shape_problems(), *ledger.verify_chain(), *_against(args.head, ledger)]
    out.document({"events": count, "head": head, "problems": found})
    for problem in found:
        out.line(problem, style="bad")
    if not found:
        out.line(f"the ledger is intact: {count} events, head {count}:{head}", style="good")
    return 1 if found else 0


def _against(anchor: str | None, ledger: Ledger) -> list[str]:
    """The one thing that an owner who rewrites the whole chain cannot forge is a head kept elsewhere."""
    if anchor is None:
        return []
    count, colon, digest = anchor.partition(":")
    if not colon or not count.isdigit() or not digest:
        raise UsageError(f"--head wants COUNT:HASH, as `migrator ledger verify` prints it, not {anchor!r}")
    for event in ledger.iterate_events():
        if event.id == int(count):
            return [] if event.hash == digest else [f"event {count} is not the one that was written down: rewritten"]
    return [f"event {count} was written down, but the ledger does not have it"]


def _show(args: argparse.Namespace, ledger: Ledger, out: Output) -> int:
    row = ledger.migration(args.version) if ledger.exists() else None
    if row is None:
        raise UsageError(f"the ledger has no migration {args.version!r}; see `migrator status`")
    steps, reviews = ledger.steps(args.version), ledger.reviews(args.version)
    out.document({"migration": row, "steps": list(steps), "reviews": list(reviews)})
    facts = ((name, value) for name, value in vars(row).items() if value is not None and value != "")
    out.table(("", args.version), facts)
    if steps:
        out.line()
        out.table(
            ("step", "kind", "status", "attempts", "rows", "finished", "error"),
            ((s.step, s.kind, s.status, s.attempts, s.rows_done, s.finished_at, s.error) for s in steps),
        )
    if reviews:
        out.line()
        out.table(
            ("reviewer", "decision", "at", "until", "plan", "reason"),
            ((r.reviewer, r.decision, r.decided_at, r.expires_at, r.plan_digest[:19], r.reason) for r in reviews),
        )
    return 0


def _events(args: argparse.Namespace, ledger: Ledger, out: Output) -> int:
    events = ledger.events(args.version) if ledger.exists() else ()
    if args.last is not None:
        events = events[-args.last :] if args.last > 0 else ()
    out.document({"events": list(events)})
    out.table(
        ("event", "at", "kind", "version", "by", "run", "detail"),
        (
            (e.id, e.at.isoformat(timespec="seconds"), e.kind, e.version, e.actor, e.run_id, e.detail_text)
            for e in events
        ),
    )
    return 0


def _timings(args: argparse.Namespace, ledger: Ledger, out: Output) -> int:
    import statistics

    from migrator import wording
    from migrator.steps import timings

    found = tuple(timings.read(ledger.iterate_events(args.version))) if ledger.exists() else ()
    errors = [item.error for item in found if item.error is not None]
    typical = statistics.median(errors) if errors else None
    out.document({"timings": list(found), "median_error": typical})
    out.table(
        ("version", "step", "statement", "kind", "estimate", "dry run", "took"),
        (
            (
                item.version,
                item.step,
                item.statement,
                item.kind,
                *("-" if s is None else wording.seconds(s) for s in (item.estimated, item.rehearsed, item.actual)),
            )
            for item in found
        ),
    )
    if typical is not None:
        out.line(f"half of the estimates were off by less than a factor of {2**typical:.1f}")
    return 0


def _repair(args: argparse.Namespace, ledger: Ledger, out: Output) -> int:
    from migrator.operations.reconcile import at_work

    ledger.check()
    before = ledger.migration(args.version)
    if before is not None and (pids := at_work(ledger.endpoint, before, ledger.steps(args.version))):
        raise NeedsHuman(
            f"sessions still execute {args.version!r} (pid {', '.join(map(str, pids))}), so nobody can say yet what is"
            " true: stop its run and wait until they have ended"
        )
    run = run_context(args, version=args.version)
    ledger.repair(args.version, status=args.status, run=run, reason=args.reason)
    return _done(out, f"{args.version} is {args.status} now, was {before.status if before else 'unknown'}")


def _settle(args: argparse.Namespace, ledger: Ledger, out: Output) -> int:
    ledger.check()
    run = run_context(args, version=args.version)
    ledger.settle(
        args.version,
        args.step,
        statement=args.statement,
        took_effect=args.took_effect,
        run=run,
        reason=args.reason,
    )
    what = "took effect" if args.took_effect else "did not take effect and will run again"
    return _done(out, f"statement {args.statement} of step {args.step} of {args.version} {what}")


def _adopt(args: argparse.Namespace, ledger: Ledger, out: Output) -> int:
    before = ledger.head()
    ledger.adopt(run=run_context(args), reason=args.reason)
    if ledger.head() == before:
        return _done(out, "the ledger belongs to this database already")
    return _done(out, "the ledger belongs to this database now")


def _upgrade(args: argparse.Namespace, ledger: Ledger, out: Output) -> int:
    before = ledger.identity().schema_version
    ledger.install()
    after = ledger.identity().schema_version
    return _done(out, f"layout {after} already" if before == after else f"layout {before} upgraded to {after}")


def _done(out: Output, text: str) -> int:
    out.document({"message": text})
    out.line(text, style="good")
    return 0
