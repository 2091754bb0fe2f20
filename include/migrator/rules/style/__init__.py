"""Rules of taste and of compatibility: `info`, never a reason to stop."""

from __future__ import annotations

from migrator.rules.model import Rule

RULES: tuple[Rule, ...] = ()
