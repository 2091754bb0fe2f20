"""Try a migration on a server of our own: its dependencies are applied and verified, then it is rehearsed."""

from __future__ import annotations

import logging
import re
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql as pgsql
from psycopg.conninfo import make_conninfo

from migrator.backups import copies as restored
from migrator.backups import stand_ins, trial
from migrator.backups.copies import Copy
from migrator.backups.copy_role import CopyRole
from migrator.catalogue.catalogue import Catalogue
from migrator.catalogue.migration import Migration
from migrator.database import fingerprint, schema, session
from migrator.database.session import Endpoint
from migrator.embedded.programs import Programs
from migrator.embedded.server import Server
from migrator.errors import DryRunFailed, MigratorError
from migrator.evidence import DryRunEvidence
from migrator.facts.running import Running
from migrator.ledger.ledger import Ledger
from migrator.parsing.nodes import find
from migrator.parsing.sql_text import read_sql
from migrator.parsing.statements import parse
from migrator.plan import Plan
from migrator.rehearsal.original import Original
from migrator.run import RunContext
from migrator.stages import dry_run, verify
from migrator.stages.analyze import run_analyze
from migrator.steps import execution
from migrator.steps.attempt import Attempt

LOG = logging.getLogger(__name__)

ROLE = "migrator"


@dataclass(frozen=True)
class Trial:
    """What was tried: the plan, made with the facts of the server's catalog, and what was applied before it."""

    plan: Plan
    before: tuple[str, ...]
    evidence: DryRunEvidence


def order_of(catalogue: Catalogue, version: str) -> tuple[Migration, ...]:
    """Everything that `version` depends on, in the order in which it is applied; the migration itself comes last.

    :raises UsageError: there is no such migration. :raises InvalidInput: its files, or a dependency's, are wrong.
    """
    wanted, waiting = {version}, [version]
    while waiting:
        for needed in catalogue.require(waiting.pop()).metadata.dependencies:
            if needed not in wanted:
                wanted.add(needed)
                waiting.append(needed)
    return tuple(one for one in catalogue.migrations if one.version in wanted)


def try_migration(catalogue: Catalogue, version: str, *, programs: Programs, log: logging.Logger = LOG) -> Trial:
    """Start a server, apply what comes first, rehearse the migration, and leave nothing behind. A failed rehearsal is
    a result, too.

    :raises AnalysisRefused: the plan has errors. :raises MigratorError: a dependency could not be applied.
    """
    *before, migration = order_of(catalogue, version)
    with Server.temporary(programs=programs) as server:
        copies, named = _prepare(server), named_roles((*before, migration))
        role, copy = _database(server, copies, named)
        endpoint = role.on(copy.name)
        for earlier in before:
            _apply(_plan(earlier, endpoint), endpoint, log)
        plan = _plan(migration, endpoint)
        with session.connect(endpoint, purpose="observe") as conn:
            original = Original(
                snapshot_id="none",
                copy=copy,
                schema=schema.read(conn),
                tables=fingerprint.tables(conn, exclude=(schema.LEDGER_SCHEMA,)),
                roles=named.roles,
            )
        with session.connect(copies, purpose="dry_run") as conn:
            trial.seal(conn, role, copy)
        try:
            evidence = dry_run.rehearse(
                plan, original, copies=copies, run=_run(plan), programs=programs.bindir, log=log
            )
        except DryRunFailed as failure:
            evidence = failure.fields["evidence"]
    return Trial(plan, tuple(one.version for one in before), evidence)


@dataclass(frozen=True)
class Named:
    """The roles that texts name, which on a target would be there."""

    roles: Mapping[str, str]
    """As in `SnapshotRecord.roles`: whoever runs them may become all of these."""
    make: bool
    """Whether one of them becomes an owner or makes something."""


def named_roles(migrations: Sequence[Migration]) -> Named:
    """Those in DO blocks, too; without those that the texts themselves make."""
    running, made, make = Running(), set[str](), False
    for migration in migrations:
        paths = (*migration.sql_paths, *([migration.rollback_path] if migration.rollback_path else ()))
        for path in paths:
            parsed = parse(read_sql(path), file=path.name)
            make = make or _BECOMES.search(parsed.text) is not None
            for statement in parsed.statements:
                running.add(statement)
                made.update(item.role for item in find(statement.node, "CreateRoleStmt"))
    roles = sorted(running.mentioned.named_roles - made)
    return Named({name: "inherit set" for name in roles if not stand_ins.RESERVED.match(name)}, make)


_BECOMES = re.compile(r"\b(?:owner\s+to|set\s+(?:local\s+|session\s+)?role|authorization)\b", re.IGNORECASE)


def _plan(migration: Migration, endpoint: Endpoint) -> Plan:
    return run_analyze(
        migration,
        target=None,
        catalogue=None,
        endpoint=endpoint,
        ledger=None,
        run=RunContext(run_id="trial", version=migration.version, target="", actor="trial"),
    )


def _prepare(server: Server) -> Endpoint:
    """The role that a server for restored copies has."""
    password = secrets.token_urlsafe(16)
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        role = pgsql.Identifier(ROLE)
        conn.execute(
            pgsql.SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE BYPASSRLS PASSWORD {}").format(
                role, pgsql.Literal(password)
            )
        )
        conn.execute("REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC")
        conn.execute(pgsql.SQL("GRANT CONNECT ON DATABASE postgres TO {}").format(role))
    conninfo = make_conninfo(host="127.0.0.1", port=server.port, dbname="postgres", user=ROLE, password=password)
    return Endpoint(conninfo=conninfo, name="the trial server")


def _database(server: Server, copies: Endpoint, named: Named) -> tuple[CopyRole, Copy]:
    """An empty database in which a migration's texts may do what they may on a copy."""
    run = RunContext(run_id="trial", version="trial", target="", actor="trial")
    role = CopyRole(restored.new_name(run), copies)
    with session.connect(copies, purpose="restore") as conn:
        copy = restored.create(conn, role, run=run, roles=named.roles)
    with psycopg.connect(server.conninfo(copy.name), autocommit=True) as conn:
        # PostgreSQL 14 lets everybody create in `public`, 15 and later only the owner: as the owner on all of them.
        conn.execute(pgsql.SQL("ALTER SCHEMA public OWNER TO {}").format(pgsql.Identifier(copy.name)))
        if named.make:
            conn.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
    return role, copy


def _apply(plan: Plan, endpoint: Endpoint, log: logging.Logger) -> None:
    """As the pipeline does after its gates, which ask for reviews that nobody gives to a trial."""
    run = _run(plan)
    try:
        with Ledger(endpoint) as ledger:
            ledger.install()
            with Attempt(plan, endpoint, ledger, run, log=log).locked() as ctx:
                ledger.begin(plan, run=run)
                for step in plan.steps:
                    execution.run(step, ctx)
            verify.run(plan, None, endpoint=endpoint, ledger=ledger, run=run, without_evidence=True, log=log)
    except MigratorError as exc:
        raise type(exc)(f"{plan.version!r}, which comes first, cannot be applied: {exc}", **exc.fields) from exc


def _run(plan: Plan) -> RunContext:
    return RunContext(run_id=f"cli:{uuid.uuid4()}", version=plan.version, target=plan.target, actor="trial")
