"""Rules about tables, partitions, views and other objects as a whole, and about their rows."""

from __future__ import annotations

from migrator.rules.model import Rule
from migrator.rules.tables import drop_object, rename, truncate, without_where

RULES: tuple[Rule, ...] = (drop_object.RULE, truncate.RULE, without_where.RULE, rename.RULE)
