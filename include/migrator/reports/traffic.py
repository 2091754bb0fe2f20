"""What a dry run says of the writer beside a long migration (`rehearsal.traffic`), for reviewers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from migrator import wording
from migrator.evidence import TRAFFIC, DryRunEvidence
from migrator.reports.markup import Markup, text

MET, NOT_MET = "✅ met", "⚠️ not all met it"


def concerns(dry_run: DryRunEvidence) -> Iterator[Markup]:
    """What should not be overlooked."""
    found = dry_run.extra.get(TRAFFIC)
    if found is None:
        return
    for spoiled in found["spoiled"]:
        yield Markup(f"**fails beside other writers**, and passes alone: {text(spoiled)}")
    for step, table, statement, sqlstate, message, count in found["refused"]:
        said = f"in step {step}, {wording.count(count, 'time')}: {statement}: {message} (SQLSTATE {sqlstate or 'none'})"
        yield Markup(f"**the application's writes to {text(table)} fail**: {text(said)}")
    if found["trouble"]:
        yield Markup(f"**rehearsed without other writers**: {text(found['trouble'])}")


def row(dry_run: DryRunEvidence) -> Iterator[tuple[str, str, str]]:
    """Of the table of what was proved; none of a migration that does not last."""
    found = dry_run.extra.get(TRAFFIC)
    if found is None:
        return
    counts = [sum(count for *_, count in part["writes"]) for part in found["parts"]]
    said = [
        f"others wrote {wording.count(sum(counts), 'time')} in {wording.count(len(counts), 'part')} of the migration"
    ]
    if sum(counts):
        said.append(
            f"the longest write took {wording.seconds(max(part['longest_seconds'] for part in found['parts']))}"
        )
    said += [f"in step {part['step']} too few: {part['lacking']}" for part in found["parts"] if part["lacking"]]
    said += [f"{table}, {kind}: {note}" for table, kind, note in found["left_out"]]
    said += [f"step {step} changed {rate:,.0f} rows a second meanwhile" for step, rate in _rates(dry_run, found)]
    lacking = found["trouble"] or any(part["lacking"] for part in found["parts"]) or not all(counts)
    yield "Other writers", NOT_MET if lacking or not counts else MET, "; ".join(said)


def _rates(dry_run: DryRunEvidence, found: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    written = {table for part in found["parts"] for table, *_ in part["writes"]}
    for trace in dry_run.statements:
        if trace.rows > 0 and trace.seconds > 0 and written.intersection(trace.writes):
            yield trace.step, trace.rows / trace.seconds
