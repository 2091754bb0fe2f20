"""The gates of a plan for the review card: where it waits, for what, and what was found on the restored copy. Pure."""

from __future__ import annotations

from datetime import datetime

from migrator.evidence import EvidenceBundle
from migrator.plan import Plan
from migrator.reports.markup import Markup, bullets, text
from migrator.steps import gating
from migrator.steps.kinds import gate


def question(plan: Plan, name: str, *, until: datetime) -> str:
    """What a person who is asked at gate `name` reads."""
    names = [step.name for step in plan.steps]
    at = names.index(name)
    asked = gating.asks(plan.steps[at]) or ""
    before, after = (", ".join(map(text, part)) for part in (names[:at], names[at + 1 :]))
    return (
        f"{text(plan.description)}\n\n## {text(asked)}\n\n"
        f"- applied: **{before}**\n- after a Yes: **{after}**\n"
        "- after a No the step fails, and what is applied is undone or stays, as the metadata says for a failure"
        f" ({plan.on_failure.value})\n"
        f"- without an answer until {until:%Y-%m-%d %H:%M:%S %Z} the step fails, and what is applied stays"
    )


def section(plan: Plan, bundle: EvidenceBundle | None) -> str:
    """Empty without a gate."""
    lines, before = [], ""
    for step in plan.steps:
        if step.kind == gate.KIND:
            who = ", which a person answers who may review here" if gating.asks(step) is not None else ""
            waits = f"waits for {text(gating.waited_for(step))}{who}, at most {text(str(step.params['expires']))}"
            lines.append(Markup(f"after **{text(before)}**, gate **{text(step.name)}** {waits}"))
        before = step.name
    if not lines:
        return ""
    found = [check.detail for check in bundle.dry_run.checks if check.name == "apply"] if bundle is not None else []
    copy = f"\n\nOn the restored copy nothing is waited for: {text(found[0])}." if found else ""
    rest = "What stands before a gate stays applied while it waits, and when its time is up."
    return f"## Gates\n\n{bullets(lines)}\n\n{rest}{copy}"
