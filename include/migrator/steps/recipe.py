"""What `migrator new` writes for a step: what undoes it, and what must be true once it is applied. The recipe itself is
the kind's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Protocol

from migrator.frozen import frozen
from migrator.steps.contract import StepKind

Changes = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Of `schema_changes.yaml`: by section ("added"), by key ("indexes"), the names with their schema."""


@frozen
class Recipe:
    undo: str | None = ""
    """What the rollback script says of it; "" where the kind undoes it, or where there is nothing to undo. None:
    nobody knows but the author."""
    holds: tuple[str, ...] = ()
    """Assertions for `verify`."""
    changes: Changes | None = field(default_factory=dict)
    """None: that cannot be told without a server."""


class WritableKind(StepKind, Protocol):
    """A module of `kinds/` whose steps can be written for their author."""

    DRAFT: type[Any] | None
    """Of a kind that reads a file: a frozen dataclass, whose fields are all `described`, of what the one statement in
    it is made of. None: the kind makes its SQL from its parameters."""

    def draft(self, given: Any) -> str:
        """The SQL file from a `DRAFT`. :raises ValueError: what is missing, or does not go together."""

    def recipe(self, parameters: Any, sql: str) -> Recipe:
        """
        :param parameters: the kind's own. :param sql: what is in its file, without a problem; "" where there is none.
        """
