"""How far a step of many batches is, as its cursor keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class Progress:
    """What the cursor keeps. `table`, `file`, `page`: where to go on; pages of another file say nothing."""

    round: int = 1
    table: int = 0
    file: int = 0
    page: int = 0
    rows: int = 0

    @classmethod
    def of(cls, cursor: Any) -> Progress:
        return cls(**{name: int(cursor[name]) for name in cls.__dataclass_fields__ if name in cursor})
