"""How long to wait before the next try."""

from __future__ import annotations

import random
from collections.abc import Callable


def backoff(attempt: int, *, first: float, longest: float, jitter: Callable[[], float] = random.random) -> float:
    """Exponential back-off, of which a half is left to chance, so that waiters do not come back together."""
    full = min(longest, first * 2.0 ** min(attempt, 30))
    return full / 2 + jitter() * full / 2
