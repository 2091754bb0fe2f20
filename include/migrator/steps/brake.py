"""What a long step does between two batches: obey a person, wait while the server must not be loaded, rest.

While it waits it has no transaction open, so no snapshot and no lock of a row. It goes on looking: whether it is
cancelled, what people ask, and every two seconds whether anybody has changed what it may run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg

from migrator.database.told import words
from migrator.errors import LoadUnknown, MigratorError
from migrator.ledger.controls import Control
from migrator.parsing.unseen import continued
from migrator.plan import Step
from migrator.run import system_clock
from migrator.steps import signals
from migrator.steps.signals import Signals
from migrator.steps.throttle import Level, Rhythm, Sign, decide
from migrator.wording import seconds

if TYPE_CHECKING:
    from migrator.steps.context import StepContext

EVENT = "throttled"
"""Event that tells how long an attempt has waited, and for what."""
PAUSED, UNKNOWN = "paused", "load unknown"
UNKNOWN_SECONDS = 60.0
"""So long it waits for signs that cannot be read; then the attempt ends, and the next one goes on."""
FIRST_SECONDS = 0.01
SAY_SECONDS = 60.0
TELL_SECONDS = 10.0


@dataclass(frozen=True)
class Hold:
    """Why no batch is begun now. `name` is what the waiting is counted under."""

    name: str
    reason: str


@dataclass
class Waiting:
    """One wait, from its first moment on."""

    hold: Hold
    since: datetime = field(default_factory=system_clock)
    said: float = 0.0
    told: float = 0.0


@dataclass
class Brake:
    """:param look: what must be looked at now and then while nothing happens; it calls `obey`."""

    step: Step
    ctx: StepContext
    pid: int
    rhythm: Rhythm
    look: Callable[[], None] = lambda: None
    signals: Signals | None = None
    control: Control = field(default_factory=Control)
    waited: dict[str, float] = field(default_factory=dict)
    """Seconds, by what they were waited for."""
    signs: tuple[Sign, ...] = ()
    cause: Sign | None = None
    """What has slowed it down last; it gets faster by small steps only."""
    slow_since: datetime | None = None
    waiting: Waiting | None = None
    unknown_since: float | None = None
    warned: bool = False

    def obey(self) -> None:
        """Read what people ask. To be called after the ledger was looked at."""
        if self.signals is None:
            return
        before, self.control = self.control, self.ctx.ledger.control(self.ctx.plan.version)
        longest, least = self.step.params.get("batch_ms"), self.step.params.get("pause_ms")
        longest = longest if self.control.batch_ms is None else self.control.batch_ms
        least = least if self.control.pause_ms is None else self.control.pause_ms
        if longest is None or least is None or self.control.tuned == before.tuned:
            return
        if self.rhythm.asked(longest / 1000, least / 1000):
            self.ctx.log.info(
                "step %s: batches of %s ms, pauses of %s ms, %s",
                self.step.name, longest, least, continued(str(self.control.tuned)),
            )  # fmt: skip

    def before_batch(self, table: int) -> None:
        """Return when one may be begun.

        :param table: oid of the one that it changes.
        :raises LoadUnknown: the signs cannot be read for too long. :raises Cancelled: somebody has stopped the step.
        """
        if self.signals is None:
            return
        self.signals.tables = (table,)
        while not self.signals.heard and not self.signals.unreadable():
            self.ctx.handle.sleep(FIRST_SECONDS)
        self._warn_once()
        self._decide()
        while (hold := self._hold()) is not None:
            self._tell(hold)
            began = time.monotonic()
            self.ctx.handle.sleep(signals.LOOK_SECONDS)
            self._count(hold.name, time.monotonic() - began)
            self.look()
            self._decide()
        if self.waiting is not None:
            self.ctx.log.info("step %s goes on", self.step.name)
            self._tell_ledger(None)
            self.waiting = None

    def rest(self) -> None:
        """The pause after a batch; what it is longer than asked for is counted."""
        began, slow = time.monotonic(), self.rhythm.pause > self.rhythm.least
        while (left := began + self.rhythm.pause - time.monotonic()) > 0:
            self.ctx.handle.sleep(min(left, signals.LOOK_SECONDS))
            if self.signals is not None:
                self.look()
        if slow and self.cause is not None:
            self._count(self.cause.name, time.monotonic() - began - self.rhythm.least)

    @property
    def slowed(self) -> dict[str, Any] | None:
        """For the step's cursor."""
        if not self.rhythm.slowed or self.slow_since is None or self.cause is None:
            return None
        return {"reason": self.cause.text, "since": self.slow_since.isoformat()}

    @property
    def note(self) -> str:
        """How long it was waited, and for what; empty when it was not."""
        if not self.waited:
            return ""
        parts = [f"{name} {seconds(value)}" for name, value in sorted(self.waited.items(), key=lambda one: -one[1])]
        return f"waited {seconds(sum(self.waited.values()))}: {', '.join(parts)}"

    def _warn_once(self) -> None:
        if self.signals is not None and self.signals.hidden and not self.warned:
            self.warned = True
            self.ctx.log.warning(
                "step %s cannot see %s, and does not wait for it; %s",
                self.step.name, ", ".join(self.signals.hidden), signals.GRANT,
            )  # fmt: skip

    def _decide(self) -> None:
        new = self.signals.take() if self.signals is not None else ()
        if not new or self.ctx.limits is None:
            return
        before = {sign.name for sign in self.signs if sign.level is Level.STOP}
        found = decide(new, self.ctx.limits, stopped=frozenset(before))
        if found:
            stops = any(sign.level is Level.STOP for sign in found)
            if self.waiting is None and not before:
                self._slow_down(found, stops=stops)
            self.signs = found
            return
        self.signs = ()
        was = self.rhythm.slowed
        self.rhythm.better()
        if was and not self.rhythm.slowed:
            self.cause = self.slow_since = None
            self.ctx.log.info("step %s is at its own pace again", self.step.name)

    def _slow_down(self, found: tuple[Sign, ...], *, stops: bool) -> None:
        self.rhythm.worse()
        self.cause = found[0]
        self.slow_since = self.slow_since or system_clock()
        if not stops:
            self.ctx.log.warning(
                "step %s slows down to batches of %.0f ms and pauses of %s: %s",
                self.step.name, self.rhythm.batch * 1000, seconds(self.rhythm.pause),
                "; ".join(sign.text for sign in found),
            )  # fmt: skip

    def _hold(self) -> Hold | None:
        """:raises LoadUnknown: see `before_batch`."""
        if self.control.paused is not None:
            return Hold(PAUSED, f"paused {self.control.paused}")
        unknown = self.signals.unreadable() if self.signals is not None else ""
        if unknown:
            self.unknown_since = self.unknown_since or time.monotonic()
            if time.monotonic() - self.unknown_since > UNKNOWN_SECONDS:
                raise LoadUnknown(
                    f"the signs of the server's load cannot be read for {UNKNOWN_SECONDS:.0f} s ({unknown}); what is"
                    f" done of step {self.step.name!r} is committed, and the next try goes on from there"
                )
            return Hold(UNKNOWN, f"the signs of the server's load cannot be read: {unknown}")
        self.unknown_since = None
        stops = [sign for sign in self.signs if sign.level is Level.STOP]
        return Hold(stops[0].name, "; ".join(sign.text for sign in stops)) if stops else None

    def _tell(self, hold: Hold) -> None:
        """Into the log when it is another reason and now and then, into the ledger a little more often."""
        now = time.monotonic()
        if self.waiting is None or self.waiting.hold.name != hold.name:
            self.waiting = Waiting(hold)
        self.waiting.hold = hold
        if now - self.waiting.said >= SAY_SECONDS or not self.waiting.said:
            self.waiting.said = now
            self.ctx.log.warning("step %s waits: %s", self.step.name, continued(hold.reason))
        if now - self.waiting.told >= TELL_SECONDS or not self.waiting.told:
            self.waiting.told = now
            self._tell_ledger({"name": hold.name, "reason": hold.reason, "since": self.waiting.since.isoformat()})

    def _tell_ledger(self, waiting: Mapping[str, Any] | None) -> None:
        self.ctx.ledger.step_waits(self.ctx.plan.version, self.step.name, waiting=waiting, pid=self.pid)

    def _count(self, name: str, value: float) -> None:
        if value > 0:
            self.waited[name] = self.waited.get(name, 0.0) + value

    def record(self) -> None:
        """One event for all waiting of this attempt. What keeps it from being written hides no other error."""
        if not self.waited:
            return
        self.ctx.log.info("step %s %s", self.step.name, self.note)
        waited = {name: round(value, 3) for name, value in self.waited.items()}
        try:
            self.ctx.ledger.append_event(
                EVENT,
                version=self.ctx.plan.version,
                run=self.ctx.run,
                detail={"step": self.step.name, "waited_seconds": waited},
            )
        except (MigratorError, psycopg.Error) as exc:
            self.ctx.log.warning("the ledger could not be told of the waiting: %s", words(exc))


@contextmanager
def braking(step: Step, ctx: StepContext, pid: int, rhythm: Rhythm) -> Iterator[Brake]:
    """Without limits, as in a rehearsal, it only rests."""
    if ctx.limits is None:
        yield Brake(step, ctx, pid, rhythm)
        return
    with signals.watching(pid, ctx) as watched:
        brake = Brake(step, ctx, pid, rhythm, signals=watched)
        try:
            yield brake
        finally:
            brake.record()
