"""What a question showed, and whether an answer is about what lies there when it comes.

Days may pass between question and answer, and within one run whoever may clear tasks can have another plan made and
rehearsed meanwhile. Airflow keeps the text of the card until the task is tried anew, so the digests travel with the
question and are compared when it is answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from migrator.errors import CardOutdated

if TYPE_CHECKING:
    from migrator.ledger.ledger import Ledger
    from migrator.ledger.rows import LedgerEvent
    from migrator.run import RunContext

EVENT = "refused"
REVIEW = "review"
"""The event of an answer that was judged."""


@dataclass(frozen=True)
class Shown:
    """The digests of what a card is about."""

    plan: str
    evidence: str

    @classmethod
    def read(cls, data: Mapping[str, Any] | None) -> Shown | None:
        """As it travelled; None when it is not that."""
        if not data or not isinstance(data.get("plan"), str) or not isinstance(data.get("evidence"), str):
            return None
        return cls(data["plan"], data["evidence"])

    def to_dict(self) -> dict[str, str]:
        return {"plan": self.plan, "evidence": self.evidence}


def difference(shown: Shown | None, found: Shown | None, *, unreadable: str = "") -> str | None:
    """Why an answer to `shown` does not count for `found`; None when it does. Pure.

    :param unreadable: why nothing could be found.
    """
    if shown is None:
        return "the answer came without the digests of what it answers"
    if found is None:
        return f"what was shown does not lie there any more: {unreadable}"
    parts = [
        f"{name} {now} lies there, the card showed {then}"
        for name, then, now in (("plan", shown.plan, found.plan), ("evidence", shown.evidence, found.evidence))
        if then != now
    ]
    return "; ".join(parts) or None


def refuse(
    ledger: Ledger,
    *,
    number: int,
    answer: str,
    shown: Shown | None,
    found: Shown | None,
    reason: str,
    version: str,
    run: RunContext,
) -> None:
    """Write down that an answer was not counted.

    :param number: which question of the run it answered.
    :raises CardOutdated: always, so that it is asked again.
    """
    detail = {
        "review": number,
        "answer": answer,
        "shown": shown.to_dict() if shown else None,
        "found": found.to_dict() if found else None,
        "reason": reason,
    }
    ledger.append_event(EVENT, version=version, run=run, detail=detail)
    raise CardOutdated(
        f"the answer of {run.actor!r} is about something else: {reason}. nothing was approved; the question is asked"
        " again",
        reason=reason,
    )


def asked_again(events: Sequence[LedgerEvent], *, run_id: str, number: int) -> str:
    """Why question `number` of a run is asked once more, for its card; empty when the last answer in this run was
    counted, or there was none. Pure; events come oldest first."""
    last = next((one for one in reversed(events) if one.run_id == run_id and one.kind in (EVENT, REVIEW)), None)
    if last is None or last.kind != EVENT or last.detail.get("review") != number:
        return ""
    return (
        f"{last.actor} answered {last.detail.get('answer')!r} at {last.at:%Y-%m-%d %H:%M %Z}, but not to this:"
        f" {last.detail.get('reason')}. That answer counts for nothing."
    )
