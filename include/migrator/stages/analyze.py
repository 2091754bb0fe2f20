"""analyze: from a migration's files and what the target's catalog says to the frozen plan.

`analyze` decides; its only effect is to read the migration's files. `run_analyze` is the stage: it reads catalog and
ledger, and refuses what must not go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from migrator import __version__
from migrator.analysis.declarations import declared
from migrator.analysis.inspection import inspect
from migrator.analysis.known import NOTHING_KNOWN, Known, Sources
from migrator.analysis.plan_steps import build_steps, rollback_steps
from migrator.analysis.walk.pending import NOTHING_BEFORE, Before
from migrator.catalogue import content
from migrator.catalogue.content import check_disk
from migrator.catalogue.metadata import METADATA_FILE
from migrator.errors import AnalysisRefused, AuthorsUnknown, ContentChanged, DependencyMissing, MigratorError
from migrator.facts.facts import CatalogFacts
from migrator.gates import answers
from migrator.gates.ahead import Window, rejected, window_of
from migrator.gates.authors import approvers, beside_the_declared, everyone
from migrator.gates.clear_way import has_content, is_applied
from migrator.gates.emergency import declare
from migrator.gates.reviews import too_few
from migrator.history import applied as history
from migrator.history.out_of_order import finding as late_finding
from migrator.history.out_of_order import higher
from migrator.history.out_of_order import require as require_order
from migrator.history.past import Past
from migrator.parsing.statements import ParsedFile, parse
from migrator.plan import ActsAs, Author, Finding, LeftOut, MigrationType, Plan, Risk, Severity
from migrator.run import RunContext, system_clock
from migrator.targets.targets import OrderPolicy

if TYPE_CHECKING:
    from migrator.analysis.estimate import Basis
    from migrator.catalogue.catalogue import Catalogue
    from migrator.catalogue.migration import Migration
    from migrator.database.session import Endpoint
    from migrator.ledger.ledger import Ledger
    from migrator.ledger.rows import LedgerMigration
    from migrator.targets.targets import Target

__all__ = ["Parsed", "analyze", "build_steps", "check_disk", "parse_migration", "run_analyze"]


@dataclass(frozen=True)
class Parsed:
    """A migration's files, read once."""

    raw: Mapping[str, bytes]
    sql: Mapping[str, ParsedFile]
    """By the name of their source, in the order in which they run."""
    sources: Sources
    digested: Mapping[str, ParsedFile]
    """The same for a server of no version: the digest of a migration is the same for all targets."""


@dataclass(frozen=True)
class Standing:
    """What the target's ledger says about a version, and how urgent it is."""

    applied: LedgerMigration | None = None
    """Its own row."""
    out_of_order: tuple[str, ...] = ()
    """Higher versions that the target has, or has by then: they come before it in the window."""
    emergency: str | None = None
    """Why it cannot wait for the calendar."""
    authors: tuple[Author, ...] = ()
    """Beside the one whom the metadata declares."""


NEW = Standing()
WINDOW_ORDER = "window-order"
"""The rule that tells which migration of the same window is not counted on."""


def parse_migration(migration: Migration, *, major: int | None = None) -> Parsed:
    """Reads and parses the files.

    :param major: of the server that it is for.
    :raises InvalidInput: when one cannot be read.
    """
    raw, metadata = content.read_files(migration), migration.metadata
    digested = content.parse_sql(migration, raw)
    sql = digested if major is None else {**digested, **content.made_sql(migration, major)}
    rollback = content.parse_rollback(migration, raw)
    sources = Sources(
        tuple(sql.values()),
        rollback,
        metadata.transaction,
        metadata.allow,
        has_metadata=True,
        assertions=tuple(
            parse(text, file=f"{METADATA_FILE}#verify[{number}]") for number, text in enumerate(metadata.verify)
        ),
    )
    return Parsed(raw, sql, sources, digested)


def analyze(
    migration: Migration,
    *,
    target: Target | None = None,
    known: Known = NOTHING_KNOWN,
    standing: Standing = NEW,
    parsed: Parsed | None = None,
    clock: Callable[[], datetime] = system_clock,
) -> Plan:
    """The plan, with every finding in it; never refuses."""
    metadata, facts = migration.metadata, known.facts
    parsed = parsed or parse_migration(migration, major=facts.major if facts else None)
    now = clock()
    inspection = inspect(parsed.sources, replace(known, today=now.date()))
    expected = content.expected_changes(migration)
    classification = inspection.classification
    risk = max(classification.risk, metadata.risk_level, key=lambda value: value.rank)
    major = metadata.type is MigrationType.MAJOR_UPGRADE
    above = standing.out_of_order
    late = (late_finding(metadata.version, above, target),) if above and target else ()
    plan = Plan(
        version=metadata.version,
        target=target.name if target else "",
        environment=target.environment if target else "",
        description=metadata.description,
        author=metadata.author,
        type=MigrationType.MAJOR_UPGRADE if major else classification.type,
        risk=Risk.HIGH if major else risk,
        declared_risk=metadata.risk_level,
        requires_downtime=metadata.requires_downtime or classification.requires_downtime,
        on_failure=metadata.on_failure,
        dependencies=metadata.dependencies,
        steps=build_steps(
            migration,
            parsed.sql,
            inspection.effects,
            {key: item.seconds_p50 for key, item in inspection.estimates.items()},
        ),
        rollback_steps=rollback_steps(parsed.sources.rollback, inspection.effects),
        assertions=metadata.verify,
        expected_changes=expected,
        lock_timeout_ms=metadata.lock_timeout_ms,
        statement_timeout_ms=metadata.statement_timeout_ms,
        findings=(*inspection.findings, *declared(metadata, inspection), *late),
        estimated_seconds=inspection.estimated_seconds,
        server_version_num=facts.server_version_num if facts else None,
        content_digest=content.content_digest(
            sql=parsed.digested, rollback=parsed.sources.rollback, expected_changes=expected, metadata=metadata
        ),
        checksums=content.checksums(parsed.raw),
        files=content.texts(parsed.raw),
        sql_file=migration.filename,
        engine_version=__version__,
        created_at=now,
        reasons=classification.reasons,
        assumptions=inspection.assumptions,
        emergency=standing.emergency,
        out_of_order=above,
        left_out=tuple(
            LeftOut(file.file, one.line, one.what) for file in parsed.sources.files for one in file.aside.left_out
        ),
        authors=standing.authors,
        acts_as=ActsAs(target.role, target.search_path) if target else None,
    )
    return _with_ledger(plan, standing.applied)


def _with_ledger(plan: Plan, applied: LedgerMigration | None) -> Plan:
    """Marks a plan whose version the target has already: with the same content, or adopted with an unknown one."""
    if applied is None or not is_applied(plan, applied):
        return plan
    when = f" at {applied.applied_at.isoformat()}" if applied.applied_at else ""
    return replace(plan, already_applied=True, applied_note=f"applied{when} by {applied.applied_by} ({applied.run_id})")


def run_analyze(
    migration: Migration,
    *,
    target: Target | None,
    catalogue: Catalogue | None,
    endpoint: Endpoint | None,
    ledger: Ledger | None,
    run: RunContext,
    emergency: str | None = None,
    copies: Endpoint | None = None,
) -> Plan:
    """The stage. `copies`: the server for restored copies, where the cost of work is measured once in a while.

    :param emergency: the reason of a declared emergency, as the person gave it.
    :raises BaselineMissing: nobody has said what is in the database already.
    :raises OutOfOrder: the target's policy rejects what is lower than an applied version.
    :raises Refused: an emergency without a reason, or nobody could approve it.
    :raises AuthorsUnknown: nobody can say who committed the files, and somebody has to.
    :raises AnalysisRefused: error findings that nobody allowed. :raises DependencyMissing: a dependency is not applied.
    :raises ContentChanged: the ledger has this version with another content.
    """
    if endpoint is not None and ledger is not None:
        history.require(endpoint, ledger)
    parsed = parse_migration(migration, major=None if endpoint is None else _major(endpoint))
    authors, unknown = _authors(migration, parsed, target, run)
    may_approve = 0 if target is None else len(approvers(target, everyone(migration.metadata.author, authors)))
    if emergency is not None and target is not None:
        emergency = declare(target, emergency, approvers=may_approve)
    rows = {row.version: row for row in ledger.migrations()} if ledger is not None and ledger.exists() else {}
    past = Past(catalogue, rows if ledger is not None else None) if catalogue is not None else None
    window = _window(migration, target, catalogue, ledger, rows, run) if emergency is None else Window()
    first = frozenset(one.version for one in window.ahead)
    before = past.before(migration.version, now=ledger is not None, first=first) if past else NOTHING_BEFORE
    facts, basis = _facts(endpoint, parsed, before, copies) if endpoint is not None else (None, None)
    refused = _refused(endpoint, parsed) if endpoint is not None else ()
    others = past.others(migration.version) if past is not None else ()

    def planned(one: Migration, parsed: Parsed | None, before: Before, standing: Standing) -> Plan:
        known = Known(facts, basis, before=before, pending=others)
        return analyze(one, target=target, known=known, standing=standing, parsed=parsed, clock=run.clock)

    ahead: list[Plan] = []
    for one in window.ahead:
        assert past is not None  # there is a window in a catalogue only
        try:
            ahead.append(planned(one, None, past.before(one.version, now=True, first=first), NEW))
            refuse_errors(ahead[-1])
            _refuse_missing(replace(ahead[-1], ahead=tuple(ahead[:-1])), rows, catalogue)
            _refuse_rejected(ahead, rows.values(), target)
        except MigratorError as exc:
            refused = (*refused, _not_counted_on(one.version, exc))
            first -= {one.version}
            ahead = [there for there in ahead if there.version in first]
    above = higher(migration.version, rows.values(), first)
    before = past.before(migration.version, now=ledger is not None, first=first) if past else NOTHING_BEFORE
    plan = planned(migration, parsed, before, Standing(rows.get(migration.version), above, emergency, authors))
    plan = replace(
        plan,
        ahead=tuple(ahead),
        behind=tuple(one.version for one in window.behind),
    )
    plan = plan.with_findings((*plan.findings, *refused)) if refused else plan
    if endpoint is not None and not plan.already_applied:
        plan = plan.with_findings((*plan.findings, *_not_in_batches(endpoint, plan)))
    if endpoint is not None and target is not None and not plan.already_applied:
        plan = plan.with_findings((*plan.findings, *_obstacles(endpoint, copies)))
    gone = history.without_files(rows.values(), catalogue) if catalogue is not None else ()
    if gone and target is not None and not plan.already_applied:
        plan = history.with_gone(plan, gone, approvers=may_approve)
    if target is not None and not plan.already_applied:
        people = (too_few(target, plan, may_approve), answers.nobody_may(target, plan, may_approve))
        plan = plan.with_findings((*plan.findings, *(one for one in people if one is not None)))
    if ledger is not None:
        _refuse_changed(plan, rows.get(plan.version))
        if not plan.already_applied:
            _refuse_missing(plan, rows, catalogue)
            if target is not None:
                require_order(plan, rows.values(), target)
    if not plan.already_applied:
        if unknown is not None:
            raise unknown
        refuse_errors(plan)
    return plan


def _window(
    migration: Migration,
    target: Target | None,
    catalogue: Catalogue | None,
    ledger: Ledger | None,
    rows: Mapping[str, LedgerMigration],
    run: RunContext,
) -> Window:
    """Of a migration that is applied already it does not matter."""
    row = rows.get(migration.version)
    done = row is not None and row.status == "success"
    if target is None or catalogue is None or ledger is None or done:
        return Window()
    given_up = rejected(ledger.reviews(None)) if ledger.exists() else {}
    return window_of(migration, target, catalogue, rows.values(), run.clock(), given_up=given_up)


def _refuse_rejected(ahead: Sequence[Plan], rows: Iterable[LedgerMigration], target: Target | None) -> None:
    """:raises OutOfOrder: the policy rejects the last of `ahead`. Where it asks, that one's own reviewers are asked."""
    if target is not None and target.out_of_order is OrderPolicy.REJECT:
        require_order(replace(ahead[-1], ahead=tuple(ahead[:-1])), rows, target)


def _not_counted_on(version: str, exc: MigratorError) -> Finding:
    message = f"{version} comes before it in the window, but would not be applied: not rehearsed on top of it. {exc}"
    return Finding(WINDOW_ORDER, Severity.WARNING, message, "mend it, then clear analyze with Downstream")


def _authors(
    migration: Migration, parsed: Parsed, target: Target | None, run: RunContext
) -> tuple[tuple[Author, ...], AuthorsUnknown | None]:
    """And why they are not known, to be raised unless nothing is left to do."""
    if target is None:
        return (), None
    try:
        return beside_the_declared(migration, content.checksums(parsed.raw), target, run), None
    except AuthorsUnknown as exc:
        return (), exc


def _facts(endpoint: Endpoint, parsed: Parsed, before: Before, copies: Endpoint | None) -> tuple[CatalogFacts, Basis]:
    from migrator.analysis.estimate.ask import look
    from migrator.analysis.estimate.calibrate import known_or_default
    from migrator.database.session import connect

    measured = known_or_default(copies)
    with connect(endpoint, purpose="observe") as conn:
        return look(conn, parsed.sources.files, role=endpoint.role, measured=measured, others=before.files)


def _obstacles(endpoint: Endpoint, copies: Endpoint | None) -> tuple[Finding, ...]:
    """What the snapshot or the restore would end with, hours later."""
    from migrator.backups import obstacle_facts, obstacles

    return obstacles.findings(*obstacle_facts.look(endpoint, copies))


def _not_in_batches(endpoint: Endpoint, plan: Plan) -> tuple[Finding, ...]:
    from migrator.database.session import connect, translated
    from migrator.steps import batch_readings

    if not any(step.kind == batch_readings.BACKFILL for step in plan.steps):
        return ()
    with connect(endpoint, purpose="validate") as conn, translated():
        return batch_readings.foretold(conn, plan)


def _major(endpoint: Endpoint) -> int:
    from migrator.database.session import major_of

    return major_of(endpoint)


def _refused(endpoint: Endpoint, parsed: Parsed) -> tuple[Finding, ...]:
    """What the target's own grammar does not know, in the rollback script as well: the analyser's is the newest."""
    from migrator.analysis.server_check import syntax_findings
    from migrator.database.session import connect

    with connect(endpoint, purpose="validate") as conn:
        return tuple(syntax_findings(conn, parsed.sources.files))


def refuse_errors(plan: Plan) -> None:
    """:raises AnalysisRefused: when the plan has error findings that the metadata does not allow."""
    errors = tuple(item for item in plan.findings if item.severity is Severity.ERROR and item.allowed_because is None)
    if not errors:
        return
    lines = "\n".join(f"  {_place(item)}{item.message}" + (f" ({item.help})" if item.help else "") for item in errors)
    what = "an error" if len(errors) == 1 else f"{len(errors)} errors"
    raise AnalysisRefused(f"the analysis of {plan.version!r} found {what}:\n{lines}", findings=errors)


def _place(finding: Finding) -> str:
    if finding.file is None:
        return f"{finding.rule}: "
    line = f":{finding.line}" + (f":{finding.column}" if finding.column else "") if finding.line else ""
    return f"{finding.file}{line}: {finding.rule}: "


def _refuse_changed(plan: Plan, row: LedgerMigration | None) -> None:
    """An applied migration is history: other content needs another version."""
    if row is None or row.status != "success" or has_content(row, plan):
        return
    then = (row.checksum or "")[:19]
    raise ContentChanged(
        f"{plan.version!r} is applied with another content ({then} then, {plan.content_digest[:19]} now); "
        "put the change into a new migration",
        old_digest=row.checksum,
        new_digest=plan.content_digest,
        diff="",
    )


def _refuse_missing(plan: Plan, rows: Mapping[str, LedgerMigration], catalogue: Catalogue | None) -> None:
    wanted = catalogue.dependencies_of(plan.version) if catalogue and catalogue.get(plan.version) else plan.dependencies
    first = {one.version for one in plan.ahead}
    there = {version for version, row in rows.items() if row.status == "success"}
    missing = tuple(name for name in wanted if name not in there | first)
    if not missing:
        return
    states = ", ".join(f"{name} ({rows[name].status if name in rows else 'not applied'})" for name in missing)
    raise DependencyMissing(
        f"{plan.version!r} depends on migrations that are not applied to this target: {states}; run them first",
        missing=missing,
    )
