"""An analysis as text for people: what each statement does, and each finding with its line of SQL and a way out.

The first line of a finding is `file:line:column: severity: message [rule]`, which editors and terminals make a link.
"""

from __future__ import annotations

import itertools
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from migrator import wording
from migrator.frozen import frozen
from migrator.plan import PredictedLock
from migrator.reports.document import Analysis, Coverage, EstimateEntry, FindingEntry, StatementEntry, WaitEntry
from migrator.reports.held import chart
from migrator.reports.paint import Paint, plain

GUTTER = 6
SHOWN_LINES = 5
SHOWN_RELATIONS = 3
SHOWN_REASONS = 5
SHOWN_GAPS = 10
SHOWN_FINDINGS = 200
QUIET_LOCKS = ("ACCESS SHARE",)
KIND_WIDTH = 26
SHOWN_BYTES = 1024 * 1024
SHOWN_LAG = 1.0
"""Seconds that a standby may be behind without anybody asking."""
"""Less WAL and disk space than this is nothing to plan for."""


@frozen
class Look:
    """How much to show, and how."""

    paint: Paint = plain
    width: int | None = None
    """Columns of the terminal; None leaves long lines as they are."""
    every_statement: bool = True
    """False shows the statements only in their findings, for many files at once."""
    every_lock: bool = False
    times: bool = False

    def plainly(self, text: str) -> str:
        """Text from a file or a rule, harmless to the terminal."""
        return self.paint(text, "")


def piece(analysis: Analysis, look: Look) -> str:
    """One analysis. The part of one file of many when `every_statement` is false."""
    lines = [*_head(analysis, look)]
    if look.every_statement:
        lines += _statements(analysis.statements, look)
    if look.every_lock:
        lines += chart(analysis, look.paint)
    findings = analysis.all_findings
    for entry in findings[:SHOWN_FINDINGS]:
        lines += ["", *_finding(entry, look)]
    if len(findings) > SHOWN_FINDINGS:
        more = wording.count(len(findings) - SHOWN_FINDINGS, "more finding")
        lines += ["", f"and {more}, all of them in --format json"]
    lines += [*_foot(analysis, look)]
    return "\n".join(lines) + "\n"


def _head(analysis: Analysis, look: Look) -> Iterator[str]:
    summary = analysis.summary
    downtime = wording.downtime(summary.requires_downtime, known=not summary.coverage.gaps)
    verdict = f"{summary.type.replace('_', ' ')}, {summary.risk} risk, {downtime}"
    style = {"low": "good", "medium": "warning", "high": "error"}[summary.risk]
    yield look.paint(analysis.name, "strong") + ": " + look.paint(verdict, style)
    if not look.every_statement:
        return
    files = len({statement.file for statement in analysis.statements})
    how = "in one transaction" if summary.in_one_transaction else "one by one, outside a transaction"
    how = how if files < 2 else f"in {files} files"
    version = f"PostgreSQL {summary.server_version}" + ("" if summary.connected else " (assumed)")
    forwards, others = len(analysis.statements), summary.coverage.statements - len(analysis.statements)
    more = f" ({others} more in the rollback script and the assertions)" if others > 0 else ""
    yield from _wrapped(f"{wording.count(forwards, 'statement')} {how}, {version}{more}", look, indent=2, style="faint")
    for reason in summary.reasons[:SHOWN_REASONS]:
        yield from _wrapped(f"because {reason}", look, indent=2, style="faint")
    if (unsaid := len(summary.reasons) - SHOWN_REASONS) > 0:
        yield look.paint(f"  and {wording.count(unsaid, 'more reason')}", "faint")


def _statements(statements: Sequence[StatementEntry], look: Look) -> Iterator[str]:
    """Of several files under the name of each."""
    several = len({statement.file for statement in statements}) > 1
    for file, group in itertools.groupby(statements, key=lambda statement: statement.file):
        if several:
            yield f"  {look.plainly(file)}"
        for statement in group:
            yield from _statement(statement, look)


def _statement(statement: StatementEntry, look: Look) -> Iterator[str]:
    place = f"{statement.line}:{statement.column}".rjust(GUTTER)
    effects = list(_effects(statement, look))
    if look.times:
        effects += [look.paint(line, "faint") for line in _time(statement.estimate)]
    kind = statement.kind.ljust(KIND_WIDTH)
    first, rest = (effects[0], effects[1:]) if effects else (look.paint("locks nothing that others use", "faint"), [])
    yield f"{look.paint(place, 'faint')}  {look.paint(kind, 'strong')}  {first}"
    for effect in rest:
        yield " " * (GUTTER + 2 + KIND_WIDTH + 2) + effect


def _time(estimate: EstimateEntry) -> Iterator[str]:
    p50, p90, hold = estimate.seconds_p50, estimate.seconds_p90, estimate.hold_seconds
    if p50 is None or p90 is None or hold is None:
        yield from (estimate.unknown,) if estimate.unknown else ()
        return
    held = f"; locks held for {wording.seconds(hold)}" if hold > 2 * p50 else ""
    yield f"about {wording.seconds(p50)}, in nine of ten cases less than {wording.seconds(p90)}{held}"
    yield from estimate.rows
    sizes = (("WAL", estimate.wal_bytes), ("disk meanwhile", estimate.temporary_bytes), ("disk", estimate.final_bytes))
    shown = [f"{what} {wording.size(value)}" for what, value in sizes if value and value >= SHOWN_BYTES]
    if shown:
        yield ", ".join(shown)
    if (lag := estimate.replica_lag_seconds or 0.0) >= SHOWN_LAG:
        yield f"a standby is about {wording.seconds(lag)} behind at the end ({estimate.replica_lag_basis})"


def _effects(statement: StatementEntry, look: Look) -> Iterator[str]:
    if statement.fails is not None:
        yield look.paint(f"may fail with {statement.fails.sqlstate}: {statement.fails.message}", "warning")
    if not statement.known:
        yield look.paint("not analysed: what it does is not known", "warning")
    for mode, relations in _by_mode(statement.locks, every=look.every_lock):
        style = {"ACCESS EXCLUSIVE": "bad", "EXCLUSIVE": "bad"}.get(mode, "")
        yield f"{look.paint(mode, style)} on {_names(relations, look)}"
    if statement.rewrites:
        yield f"{look.paint('rewrites', 'bad')} {_names(statement.rewrites, look)}"
    if statement.scans:
        yield f"{look.paint('reads all of', 'warning')} {_names(statement.scans, look)}"
    if statement.waits_for_old_transactions:
        yield "waits for all older transactions to end"


def _by_mode(locks: Iterable[PredictedLock], *, every: bool) -> list[tuple[str, list[str]]]:
    modes: dict[str, list[str]] = {}
    for lock in locks:
        if every or lock.mode not in QUIET_LOCKS:
            modes.setdefault(lock.mode, []).append(lock.relation)
    return list(modes.items())


def _names(relations: Iterable[str], look: Look) -> str:
    names = list(relations)
    if not look.every_lock and len(names) > SHOWN_RELATIONS + 1:
        names = [*names[:SHOWN_RELATIONS], f"and {len(names) - SHOWN_RELATIONS} more"]
    return look.plainly(", ".join(names).replace(", and", " and"))


def _finding(entry: FindingEntry, look: Look) -> Iterator[str]:
    place = f"{entry.place.file}:{entry.place.line}:{entry.place.column}: " if entry.place else ""
    rule = look.paint(f"[{entry.rule}]", "faint")
    if entry.allowed_because is not None:
        yield f"{look.plainly(place)}{look.paint('allowed', 'good')}: {look.plainly(entry.message)} {rule}"
        yield from _wrapped(f"because {entry.allowed_because}", look, indent=GUTTER + 1, style="faint")
        return
    severity = look.paint(entry.severity.value, entry.severity.value)
    first, *rest = _between(f"{place}{entry.severity.value}: ", entry.message, f" [{entry.rule}]", look)
    ends = ["" for _ in rest] + [f" {rule}"]
    yield f"{look.paint(place, 'strong')}{severity}: {look.plainly(first)}{ends[0]}"
    for line, end in zip(rest, ends[1:], strict=True):
        yield " " * GUTTER + look.plainly(line) + end
    yield from _excerpt(entry, look)
    if entry.effect:
        yield from _labelled("why", entry.effect, look)
    if entry.help:
        yield from _labelled("instead", entry.help, look)
    for line in (entry.alternative_sql or "").splitlines():
        yield " " * GUTTER + look.paint("+ ", "good") + look.paint(line, "good")
    if entry.steps:
        at = f"{entry.place.file}:{entry.place.line}" if entry.place else ""
        yield from _labelled("steps", f"in the metadata, in its place (migrator new --from {at}):", look)
    for line in (entry.steps or "").splitlines():
        yield " " * GUTTER + look.paint("+ ", "good") + look.paint(line, "good")
    if entry.suggested_step:
        yield from _labelled("step", "in the metadata, after it:", look)
    for line in (entry.suggested_step or "").splitlines():
        yield " " * GUTTER + look.paint("+ ", "good") + look.paint(line, "good")


def _between(before: str, text: str, after: str, look: Look) -> list[str]:
    """A text broken at spaces so that it fits with what stands before its first line and after its last."""
    if not look.width:
        return [text]
    room = max(20, look.width - GUTTER)
    filled = "." * min(max(0, len(before) - GUTTER), room - 1)
    kept = "." * len(after)  # one word with the last one, so that they stay on one line
    lines = textwrap.wrap(filled + text + kept, room, break_long_words=False, break_on_hyphens=False)
    lines[0] = lines[0][len(filled) :]
    lines[-1] = lines[-1][: len(lines[-1]) - len(kept)]
    return lines


def _excerpt(entry: FindingEntry, look: Look) -> Iterator[str]:
    if entry.place is None:
        return
    shown = entry.excerpt[:SHOWN_LINES]
    for offset, line in enumerate(shown):
        number = look.paint(str(entry.place.line + offset).rjust(GUTTER - 1), "faint")
        yield f"{number} {look.paint('|', 'faint')} {look.plainly(line.expandtabs(4))}"
        if offset == 0 and line.strip():
            start = min(entry.place.column - 1, len(line))
            end = entry.place.end_column - 1 if entry.place.end_line == entry.place.line else len(line.rstrip())
            carets = "^" * max(1, _columns(line[start:end]))
            padding = " " * _columns(line[:start])
            yield f"{' ' * GUTTER}{look.paint('|', 'faint')} {padding}{look.paint(carets, entry.severity.value)}"
    if entry.place.end_line - entry.place.line >= SHOWN_LINES:
        yield " " * GUTTER + look.paint("| ...", "faint")


def _columns(text: str) -> int:
    """Columns of a terminal that a text takes: two for wide East Asian characters, none for combining ones."""
    text, width = text.expandtabs(4), 0
    if text.isascii():
        return len(text)
    for char in text:
        if not unicodedata.combining(char):
            width += 2 if unicodedata.east_asian_width(char) in "WF" else 1
    return width


def _labelled(label: str, text: str, look: Look) -> Iterator[str]:
    lead = " " * GUTTER + look.paint(label.ljust(8), "faint")
    width = max(20, look.width - GUTTER - 8) if look.width else None
    lines = textwrap.wrap(text, width) if width else [text]
    for number, line in enumerate(lines):
        yield (" " * (GUTTER + 8) if number else lead) + look.plainly(line)


def _wrapped(text: str, look: Look, *, indent: int, style: str) -> Iterator[str]:
    lines = textwrap.wrap(text, max(20, look.width - indent)) if look.width else [text]
    for line in lines:
        yield look.paint(" " * indent + line, style)


def _foot(analysis: Analysis, look: Look) -> Iterator[str]:
    summary = analysis.summary
    if look.every_statement:
        if summary.assumptions:
            yield ""
        for text in summary.assumptions:
            yield from _wrapped(f"assumed: {text}", look, indent=2, style="faint")
        if look.times:
            if summary.estimated_seconds is None:
                text = "estimated: nothing, without a connection nobody knows the sizes (--target or --dsn)"
                if summary.connected:
                    text = "estimated: not all of it, because it is not known how many rows some tables have by then"
                yield look.paint(f"  {text}", "warning")
            else:
                yield f"  estimated: {wording.seconds(summary.estimated_seconds)}, without waiting for locks"
            for wait in analysis.waits:
                yield from _wait(wait, look)
    yield from _gaps(summary.coverage, look)


def _wait(wait: WaitEntry, look: Look) -> Iterator[str]:
    queries = f": about {wait.waiting:,} queries come meanwhile" if wait.waiting else ""
    held = "as long as nobody knows" if wait.hold_seconds is None else f"for {wording.seconds(wait.hold_seconds)}"
    yield f"  {wait.mode} on {look.plainly(wait.relation)} is held {held}{queries}"
    for query in wait.families:
        yield look.paint(f"    {query}", "faint")
    if wait.in_the_way:
        oldest = wording.seconds(wait.oldest_seconds)
        yield look.paint(f"    to get it one waits for transactions, the oldest since {oldest}:", "warning")
        for who in wait.in_the_way[:SHOWN_GAPS]:
            yield look.paint(f"      {who}", "faint")


def _gaps(coverage: Coverage, look: Look) -> Iterator[str]:
    if not coverage.gaps:
        return
    yield look.paint(
        f"  {len(coverage.gaps)} of {wording.count(coverage.statements, 'statement')} could not be looked into: "
        "not analysed is not safe",
        "warning",
    )
    for gap in coverage.gaps[:SHOWN_GAPS]:
        yield look.paint(f"    {gap.file}:{gap.line}:{gap.column}: {gap.what}: {gap.why}", "faint")
    if len(coverage.gaps) > SHOWN_GAPS:
        yield look.paint(f"    and {len(coverage.gaps) - SHOWN_GAPS} more", "faint")


def total(*, files: int, errors: int, warnings: int, allowed: int, look: Look) -> str:
    """The last line of all."""
    counts = [wording.count(errors, "error"), wording.count(warnings, "warning")]
    if allowed:
        counts.append(f"{allowed} allowed")
    style = "error" if errors else "warning" if warnings else "good"
    what = "1 analysis" if files == 1 else f"{files:,} analyses"
    return "\n" + look.paint(f"{what}: {', '.join(counts)}", style) + "\n"
