"""How the dry run judges what it saw. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from migrator import wording
from migrator.database.schema import Schema
from migrator.database.schema_diff import SchemaDiff, diff
from migrator.database.vocabulary import MARK, Vocabulary
from migrator.errors import DryRunFailed, MigratorError
from migrator.evidence import (
    RIGHTS,
    ROLLBACK_CHECKS,
    SKIPPED,
    Check,
    DryRunEvidence,
    StatementTrace,
    TableFingerprint,
    Verdict,
)
from migrator.gates import expected_changes
from migrator.lock_modes import AX
from migrator.plan import Plan
from migrator.rehearsal.comparison import unpredicted_writes
from migrator.rehearsal.losses import Dropped

NO_SCRIPT = "there is no rollback script: this migration cannot be undone"

RESUMED = "a part of it was applied before the snapshot, so the rollback goes back further than to the snapshot"

NUMBERS_AGAIN = "numbers may be given again"
COPY_ASIDE = (
    "let the migration copy the rows that it deletes into a table of their own first (CREATE TABLE ... AS SELECT), and"
    " the rollback insert them again; or, if nobody needs them any more, declare rollback_available: false"
)
IN_SNAPSHOT = "what was dropped is in the snapshot only"


def verdict(checks: Sequence[Check], *, irreversible: bool) -> Verdict:
    """Failed when one check is; passed only when every check that could be asked for is.

    A migration without a rollback script has declared so (`rollback_available: false`), and its reviewers read it: then
    the checks of the rollback are unverified, and the rest decides. What was dropped no script can bring back: that is
    told beside the verdict. A resumed migration was applied in part before the snapshot, so nothing can be compared
    with what was there before it: that is no proof, though it may go on (`DryRunEvidence.stands`).
    """
    if any(check.verdict is Verdict.FAILED for check in checks):
        return Verdict.FAILED
    waived = (*(ROLLBACK_CHECKS if irreversible else ()), SKIPPED, RIGHTS)
    decisive = [check for check in checks if check.name not in waived and not _dropped(check)]
    if not decisive or any(check.verdict is not Verdict.PASSED for check in decisive):
        return Verdict.UNVERIFIED
    return Verdict.PASSED


def _dropped(check: Check) -> bool:
    """What no script can bring back: rows that were dropped, numbers of a sequence that is made anew."""
    return (
        check.name == "rollback_data"
        and check.verdict is Verdict.UNVERIFIED
        and (check.detail.startswith(IN_SNAPSHOT) or NUMBERS_AGAIN in check.detail)
    )


def expected(promised: Mapping[str, Any], changes: SchemaDiff, known: Vocabulary) -> Check:
    problems = expected_changes.compare(promised, changes)
    if problems:
        problems = expected_changes.compare(promised, known.told(changes)) or (
            MARK,
        )  # the verdict is on the real names
    good = "all declared changes, and no other"
    return Check("expected_changes", Verdict.FAILED if problems else Verdict.PASSED, "; ".join(problems) or good)


def server_unchanged(differences: Sequence[str], *, password_changed: bool) -> Check:
    """Roles, databases and their settings belong to nobody's migration."""
    found = [*differences, *(["the copy's role has another password"] if password_changed else [])]
    if not found:
        return Check("server", Verdict.PASSED, "roles, databases and their settings are as before")
    return Check(
        "server",
        Verdict.FAILED,
        f"beyond the copy, on its server, it is not as before: {'; '.join(found)}. take out what changes roles,"
        " databases or their settings; if somebody else has changed them meanwhile, clear the dry run",
    )


def settings_given(given: Mapping[str, str], missing: Sequence[str]) -> tuple[Check, ...]:
    """Whether the sessions began with what the target's database and role give them. Names only."""
    if missing:
        return (
            Check(
                "settings",
                Verdict.UNVERIFIED,
                f"the target's database or role sets {', '.join(missing)}, and the rehearsal's sessions could not begin"
                " with that: what the SQL does with it was not seen. take it away on the target if nothing needs it, or"
                " use a server for copies where a role without privileges may set it",
            ),
        )
    return (Check("settings", Verdict.PASSED, f"as on the target: {', '.join(sorted(given))}"),) if given else ()


def together(name: str, checks: Sequence[Check]) -> Check:
    """Several checks as one: what failed, or how many there were."""
    wrong = [check for check in checks if check.verdict is not Verdict.PASSED]
    worst = Verdict.FAILED if any(check.verdict is Verdict.FAILED for check in wrong) else Verdict.UNVERIFIED
    detail = "; ".join(f"{check.name}: {check.detail}" for check in wrong) or f"{len(checks)} true"
    return Check(name, worst if wrong else Verdict.PASSED, detail, sum(check.seconds for check in checks))


def schema_equal(name: str, wanted: Schema, found: Schema, known: Vocabulary) -> Check:
    """Everything but the order of columns must be equal. A column that was dropped and added again comes last: nothing
    in SQL can put it back in its place, so that difference is told and does not fail."""
    if wanted.fingerprint == found.fingerprint:
        return Check(name, Verdict.PASSED, "the very same schema")
    difference = diff(wanted, found)
    text = "; ".join(known.lines_and_rest(difference, name))
    if difference.only_column_order:
        return Check(name, Verdict.PASSED, f"the same but for the order of columns: {text}")
    return Check(name, Verdict.FAILED, text)


def columns_moved(table: str, before: Schema, after: Schema) -> bool:
    """Whether the table has the same columns in another order."""
    orders = [one.objects.get("column_order", {}).get(table) for one in (before, after)]
    return None not in orders and orders[0] != orders[1]


def data_equal(
    wanted: Mapping[str, TableFingerprint],
    found: Mapping[str, TableFingerprint],
    dropped: Dropped,
    *,
    left: tuple[Mapping[str, TableFingerprint], Mapping[str, TableFingerprint]] = ({}, {}),
    blamed: Mapping[str, str] = MappingProxyType({}),
) -> Check:
    """Whether the rollback gives back the rows, too.

    What apply itself dropped (a table, a column) no script can bring back: that is unverified, and the reviewers have
    to know that only the snapshot has it. Any other loss is the rollback script's fault.

    :param left: before and now, tables of which apply dropped columns, by the columns that it left alone.
    :param blamed: by table, what the rollback dropped.
    """
    gone: list[str] = []
    wrong: list[str] = []
    fewer = False
    for name, original in sorted(wanted.items()):
        now = found.get(name)
        if now == original:
            continue
        rows = "is not there" if now is None else f"has {now.rows} rows"
        other = rows if now is None or now.rows != original.rows else f"has other content in its {now.rows} rows"
        text = f"{name} {other}, had {original.rows} rows"
        if name in dropped.tables:
            gone.append(text)
        elif name in left[0] and left[0][name] == left[1].get(name):
            gone.append(f"{text}; but for column {', '.join(sorted(dropped.columns[name]))} they are as before")
        else:
            wrong.append(f"{text}: {blamed[name]}" if name in blamed else text)
            fewer = fewer or (name not in blamed and now is not None and now.rows < original.rows)
    if wrong:
        text = "the rollback loses data: " + "; ".join([*wrong, *gone])
        return Check("rollback_data", Verdict.FAILED, f"{text}. {COPY_ASIDE}" if fewer else text)
    if gone:
        text = f"{IN_SNAPSHOT}, the rollback gives back the structure: {'; '.join(gone)}"
        return Check("rollback_data", Verdict.UNVERIFIED, text)
    good = (
        f"{wording.count(len(wanted), 'table')} with rows as before"
        if wanted
        else "no row of an older table was touched"
    )
    return Check("rollback_data", Verdict.PASSED, good)


def without_views(data: Check, views: Sequence[str]) -> Check:
    """`data`, the check of the rows, with what it says nothing about."""
    if not views:
        return data
    what = wording.count(len(views), "materialized view")
    text = f"{data.detail}; what is in {what} is not compared: only REFRESH in the rollback brings it back"
    return replace(data, detail=text)


def writes_predicted(traces: Iterable[StatementTrace]) -> Check:
    """A statement that changes rows of which the analysis knew nothing is another one than reviewers were shown."""
    wrong = [
        f"{trace.place}: {trace.kind} changed rows of {name}, which was not predicted"
        for trace in traces
        for name in unpredicted_writes(trace)
    ]
    if not wrong:
        return Check("predicted_writes", Verdict.PASSED, "no rows were changed but of tables that were predicted")
    told = "; ".join(wrong)
    return Check(
        "predicted_writes",
        Verdict.FAILED,
        f"{told}. Find out what writes there (a trigger, a rule, a function), and say it in the file",
    )


def not_reached(plan: Plan, names: Iterable[str], reason: str) -> tuple[Check, ...]:
    """Of those that the plan gives reason for."""
    idle = {"expected_changes": plan.expected_changes is None, "assertions": not plan.assertions}
    return tuple(Check(name, Verdict.UNVERIFIED, reason) for name in names if not idle.get(name))


def idle(traces: Iterable[StatementTrace]) -> bool:
    """Whether none of these statements has changed or may have removed rows that were there, or is upkeep, which
    changes none."""
    return not any(
        trace.writes
        or trace.rewrites
        or trace.indexes_rebuilt
        or trace.kind.startswith(("TRUNCATE", "ANALYZE", "VACUUM", "REINDEX"))
        or (not trace.kind.startswith("ALTER") and any(lock.mode == AX for lock in trace.locks))
        for trace in traces
    )


def surprises(traces: Iterable[StatementTrace]) -> tuple[str, ...]:
    """Where a statement did something else than was predicted, one line each."""
    return tuple(f"{trace.place}: {trace.kind} {text}" for trace in traces for text in trace.differences)


def require_stands(evidence: DryRunEvidence, version: str, cause: MigratorError | None) -> None:
    """
    :param cause: the first failure of the SQL itself.
    :raises DryRunFailed: people need not be asked about it.
    """
    if evidence.stands:
        return
    failed = [check for check in evidence.checks if check.verdict is Verdict.FAILED]
    problems = tuple(f"{check.name}: {check.detail}" for check in failed or evidence.checks)
    raise DryRunFailed(
        f"the dry run of {version!r} failed:\n" + "\n".join(problems),
        problems=problems,
        evidence=evidence,
        **{
            key: cause.fields.get(key) if cause else None
            for key in ("sqlstate", "file", "line", "column", "step", "statement")
        },
    ) from cause
