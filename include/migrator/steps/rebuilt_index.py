"""Build indexes anew without blocking anybody, and tell what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from migrator.database import naming, queries, session
from migrator.database.vocabulary import told_name
from migrator.ledger.rows import LedgerStep
from migrator.plan import Phase, Step
from migrator.steps import gently, piecewise
from migrator.steps.context import StatementResult, StepContext, login_of
from migrator.steps.real_state import Connection
from migrator.steps.transaction import failure

QUERIES = queries.load(__package__, "rebuilt_index")
SIZES = "bytes"
"""Of the indexes before, by their names, in the cursor's `before`."""


def execute(step: Step, phase: Phase, ctx: StepContext) -> tuple[StatementResult, ...]:
    """See `kinds.reindex.execute`."""
    kept: dict[str, Any] = {}

    def remember(conn: Connection, earlier: Mapping[str, Any] | None) -> Mapping[str, Any]:
        found = _indexes(step, conn)
        _require_possible(found, step)
        kept.update(earlier or {SIZES: {one["name"]: one["bytes"] for one in found}})
        return kept

    results = piecewise.execute(step, phase, ctx, remember=remember)
    with session.connect(login_of(ctx.endpoint), purpose="observe", version=ctx.plan.version) as conn:
        notes = _sizes(kept[SIZES], {one["name"]: one["bytes"] for one in _indexes(step, conn)})
    for note in notes:
        ctx.log.info("step %s: %s", step.name, note)
    return tuple(replace(one, note="; ".join(filter(None, (one.note, *notes)))) for one in results)


def invalid(step: Step, conn: Connection) -> tuple[str, ...]:
    """Which indexes serve no query."""
    return tuple(f"index {told_name(one['name'])} is not valid" for one in _indexes(step, conn) if not one["usable"])


def sweep(step: Step, row: LedgerStep, ctx: StepContext, conn: Connection) -> None:
    """Drop what an interrupted attempt has left, and nothing that was there before it."""
    known = row.cursor.get(gently.LEFTOVERS)
    if known is not None:
        gently.sweep(step.statements[0], known, ctx, conn)


def _indexes(step: Step, conn: Connection) -> list[dict[str, Any]]:
    with session.translated():
        name = step.params.get("index") or step.params["table"]
        return naming.ask(conn, QUERIES["indexes"], {"name": name}).named


def _require_possible(found: list[dict[str, Any]], step: Step) -> None:
    """:raises StatementFailed: REINDEX CONCURRENTLY refuses it, or passes it by with a warning."""
    name = step.params.get("index") or step.params["table"]
    if not found:
        what = f"there is no index {name}" if "index" in step.params else f"there is no table {name} with an index"
        raise failure(what, step.statements[0], step, sqlstate="42704")
    if any(one["of_system"] for one in found):
        text = f"{name} is of the system's catalog, for which there is no CONCURRENTLY; take a window and run REINDEX"
        raise failure(f"{text} without it in a step of kind sql", step.statements[0], step, sqlstate="0A000")
    excluding = [told_name(one["name"]) for one in found if one["excludes"]]
    if excluding:
        others = "" if "index" in step.params else ", and name the others one by one, each in a step of its own"
        raise failure(
            f"index {', '.join(excluding)} belongs to an exclusion constraint, which REINDEX CONCURRENTLY cannot build"
            f" anew; take a window and run REINDEX INDEX without it in a step of kind sql{others}",
            step.statements[0],
            step,
            sqlstate="0A000",
        )
    waiting = [told_name(one["name"]) for one in found if one["waits"]]
    if waiting:
        others = "" if "index" in step.params else ", and name the others one by one, each in a step of its own"
        raise failure(
            f"index {', '.join(waiting)} belongs to a DEFERRABLE constraint: the copy that REINDEX CONCURRENTLY makes"
            " of it refuses at once what an application may write that is right only at COMMIT; take a window and run"
            f" REINDEX INDEX without it in a step of kind sql{others}",
            step.statements[0],
            step,
            sqlstate="0A000",
        )


def _sizes(before: Mapping[str, int], after: Mapping[str, int]) -> list[str]:
    return [
        f"index {told_name(name)} had {before[name]:,} bytes and has {size:,}"
        for name, size in after.items()
        if name in before
    ]
