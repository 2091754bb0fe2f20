"""What a person has said to the question of a gate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Answer:
    """Of somebody who may answer."""

    person: str
    yes: bool
    comment: str
    at: datetime
