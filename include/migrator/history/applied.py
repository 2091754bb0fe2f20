"""What is in the target already: is it known at all, and does the catalogue still have the files of it?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from migrator.database import session
from migrator.errors import Refused
from migrator.history import baseline
from migrator.ledger.rows import LedgerMigration, MigrationStatus
from migrator.plan import Finding, Plan, Severity

if TYPE_CHECKING:
    from migrator.catalogue.catalogue import Catalogue
    from migrator.database.session import Endpoint
    from migrator.ledger.ledger import Ledger

RULE = "applied-files-missing"
HELP = "see whether this checkout is older than the one that was applied, and put the files back"


def require(endpoint: Endpoint, ledger: Ledger) -> None:
    """What was applied by hand must be known, or it would be applied again.

    :raises BaselineMissing: the database has objects of which no history tells.
    """
    if ledger.exists() and ledger.baselined():
        return
    with session.connect(endpoint, purpose="observe") as connection:
        baseline.require(connection, ledger)


def without_files(rows: Iterable[LedgerMigration], catalogue: Catalogue) -> tuple[str, ...]:
    """Applied versions of which the catalogue has no files, broken or not. Pure.

    Only what this engine applied: a baseline may adopt versions whose files nobody has.
    """
    here = {one.version for one in catalogue.migrations} | {Path(file).parent.name for file in catalogue.broken}
    applied = [row.version for row in rows if row.status is MigrationStatus.SUCCESS and row.plan_digest]
    return tuple(sorted(version for version in applied if version not in here))


def with_gone(plan: Plan, gone: tuple[str, ...], *, approvers: int) -> Plan:
    """The plan that says so, which then needs at least one review, whatever the target's policy. Pure.

    :raises Refused: nobody could approve it.
    """
    message = f"{', '.join(map(repr, gone))} applied to {plan.target!r}, but the catalogue has no such files"
    if not approvers:
        raise Refused(f"{message}. {HELP}; or name reviewers for {plan.target!r}, who may let it pass")
    findings = (*plan.findings, Finding(RULE, Severity.WARNING, message, HELP))
    return replace(plan, findings=findings, without_files=gone)
