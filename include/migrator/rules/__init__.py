"""The rules of the analyser, in the order in which their findings are shown. One rule a file; the tuple is explicit."""

from __future__ import annotations

from migrator.rules.model import Rule

RULES: tuple[Rule, ...] = ()

BY_ID = {rule.id: rule for rule in RULES}

__all__ = ["BY_ID", "RULES", "Rule"]
