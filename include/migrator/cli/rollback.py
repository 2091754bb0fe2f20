"""`migrator rollback`: undo by hand what a migration has applied, by the plan that it was applied with."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from migrator.cli import options
from migrator.cli.output import Output
from migrator.cli.person import add_person_arguments, run_context
from migrator.errors import EnvironmentFault, InvalidInput, NeedsHuman, UsageError

if TYPE_CHECKING:
    from migrator.database.session import Endpoint
    from migrator.gates.drift import Start
    from migrator.ledger.ledger import Ledger
    from migrator.ledger.rows import LedgerMigration
    from migrator.plan import Plan

T = TypeVar("T")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("version", metavar="VERSION")
    parser.add_argument(
        "--plan",
        type=Path,
        metavar="FILE",
        help="the plan that it was applied with (default: what its run has left in the target's evidence folder)",
    )
    parser.add_argument("--verified", action="store_true", help="undo it although it is applied and verified")
    parser.add_argument("--end-sessions", action="store_true", help="end the sessions that still execute it")
    options.add_connection_arguments(parser)
    add_person_arguments(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    from migrator.ledger.ledger import Ledger
    from migrator.stages import rollback
    from migrator.steps.undo_decision import Action

    endpoint = options.endpoint(args)
    if endpoint is None:  # unreachable: options.endpoint() raises when a database is required
        raise UsageError("which database?")
    if args.target is None and args.plan is not None:
        endpoint = _as_planned(endpoint, _read(args.plan))
    with Ledger(endpoint) as ledger:
        row = _row(args, ledger)
        plan = _plan(args, row)
        _require_nobody_at_work(args, endpoint, ledger, row)
        person = replace(
            run_context(args, version=row.version), run_id=row.run_id, run_url=row.run_url, reason=args.reason
        )
        detail = {"reason": args.reason, "was": row.status.value}
        ledger.append_event("rollback_by_hand", version=row.version, run=person, detail=detail)
        start = _start(args, row, plan, ledger, out)
        report = rollback.run(plan, endpoint=endpoint, ledger=ledger, run=person, force=True, start=start)
    out.document({"report": report})
    done = report.action is Action.ROLLED_BACK
    text = f"{row.version} is rolled back" if done else f"{row.version}: {report.action.value}, {report.reason}"
    out.line(text, style="good" if done else "bad")
    if done and report.schema_equal is None:
        out.line("nobody has compared the database with what was there before: look at it", style="bad")
    for difference in report.differences:
        out.line(f"the schema differs from the one before: {difference}", style="bad")
    for told in report.lost:
        out.line(f"the rollback has deleted, or changed, rows that others had written since: {told}", style="bad")
    for told in report.set_back:
        out.line(f"the rollback has set sequences back: {told}", style="bad")
    for command in report.leftovers:
        out.line(f"an interrupted attempt has left something behind; remove it with: {command}")
    return 0 if done else 1


def _row(args: argparse.Namespace, ledger: Ledger) -> LedgerMigration:
    from migrator.ledger.rows import MigrationStatus

    row = ledger.migration(args.version) if ledger.exists() else None
    if row is None:
        raise UsageError(f"the ledger has no migration {args.version!r}; see `migrator status`")
    ledger.check()
    ledger.require_intact()
    if row.status is MigrationStatus.SUCCESS and not args.verified:
        raise UsageError(
            f"{row.version!r} is applied and verified, so what was written since may depend on it; to undo it all the"
            " same, give --verified"
        )
    after = [
        other.version
        for other in ledger.migrations()
        if other.status is MigrationStatus.SUCCESS
        and other.applied_at is not None
        and row.applied_at is not None
        and other.applied_at > row.applied_at
    ]
    if after:
        raise NeedsHuman(
            f"{', '.join(after)} was applied after {row.version!r} and may stand on it: roll that back first, or write"
            " a migration that repairs what is there"
        )
    return row


def _plan(args: argparse.Namespace, row: LedgerMigration) -> Plan:
    """:raises NeedsHuman: it is not the plan that the ledger names."""
    path = args.plan or _kept(args, row)
    plan = _read(path)
    if args.target not in (None, plan.target):
        raise UsageError(f"{path}: is a plan for target {plan.target!r}, not for {args.target!r}")
    if (plan.version, plan.digest, plan.content_digest) != (row.version, row.plan_digest, row.checksum):
        raise NeedsHuman(
            f"{path}: is not the plan that {row.version!r} was applied with: its digest is {plan.digest}, the ledger"
            f" names {row.plan_digest}"
        )
    return plan


def _read(path: Path) -> Plan:
    from migrator import documents
    from migrator.plan import Plan

    try:
        return documents.from_dict(Plan, json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise EnvironmentFault(f"there is no plan {str(path)!r}: name it with --plan FILE") from None
    except (ValueError, TypeError, KeyError) as exc:
        raise InvalidInput(f"{path}: is no plan: {exc}") from None


def _as_planned(endpoint: Endpoint, plan: Plan) -> Endpoint:
    """The database of --dsn, by the names and the role that the plan's texts are about."""
    if plan.acts_as is None:
        raise UsageError(
            "by which search_path, and by which role, was it applied? an older engine has made the plan, which does not"
            f" say so: give --target {plan.target} beside --dsn"
        )
    return replace(endpoint, role=plan.acts_as.role, search_path=plan.acts_as.search_path)


def _start(args: argparse.Namespace, row: LedgerMigration, plan: Plan, ledger: Ledger, out: Output) -> Start | None:
    """What the evidence beside the plan says was there before; None: it is not there, or not what was applied by."""
    from migrator import documents
    from migrator.evidence import DryRunEvidence, EvidenceBundle, RestoreEvidence, SnapshotRecord
    from migrator.gates.drift import start_of
    from migrator.gates.evidence import kept_problems

    folder = (args.plan or _kept(args, row)).parent

    def read(stage: str, cls: type[T]) -> T:
        return documents.from_dict(cls, json.loads((folder / f"{stage}.json").read_text(encoding="utf-8")))

    try:
        kept = EvidenceBundle(
            snapshot=read("snapshot", SnapshotRecord),
            restore=read("restore_test", RestoreEvidence),
            dry_run=read("dry_run", DryRunEvidence),
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
        out.note(f"the evidence that it was applied by cannot be read beside its plan ({exc})")
        return None
    if problems := kept_problems(plan, kept, ledger):
        out.note(f"the evidence beside its plan cannot be used: {'; '.join(problems)}")
        return None
    return start_of(kept)


def _kept(args: argparse.Namespace, row: LedgerMigration) -> Path:
    """Where the run has left it. Kept as the Airflow layer's evidence store keeps it."""
    from migrator.plan import plan_name, run_folder

    target = options.target(args)
    if target is None:
        raise UsageError("which plan? give --target NAME, whose evidence folder holds it, or --plan FILE")
    folder = run_folder(target.name, row.version, row.run_id)
    name = plan_name(row.plan_digest or "")
    root = target.evidence.removeprefix("file://")
    if "://" in root:
        raise UsageError(f"fetch {root.rstrip('/')}/{folder}/{name} and name it with --plan FILE")
    return Path(root) / folder / name


def _require_nobody_at_work(args: argparse.Namespace, endpoint: Endpoint, ledger: Ledger, row: LedgerMigration) -> None:
    from migrator.operations import reconcile

    alive = reconcile.at_work(endpoint, row, ledger.steps(row.version))
    if alive and not args.end_sessions:
        pids = ", ".join(map(str, alive))
        raise NeedsHuman(
            f"sessions still execute {row.version!r} (pid {pids}): stop its run in Airflow and wait, or end them with"
            " --end-sessions"
        )
