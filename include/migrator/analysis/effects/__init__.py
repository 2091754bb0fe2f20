"""What each statement locks, rewrites and scans, given what is known about the database.

`World` carries the catalog's facts and what the migration itself has created so far; `effects_of` answers for one
statement; `replay.world_after` is the world once it has run. Facts measured on PostgreSQL 12 to 18; the integration
test compares them with pg_locks on a real server.
"""

from __future__ import annotations

from migrator.analysis.effects.model import NOTHING, Effects, Failure
from migrator.analysis.effects.table import effects_of
from migrator.analysis.effects.world import ASSUMED, Assumed, World

__all__ = ["ASSUMED", "NOTHING", "Assumed", "Effects", "Failure", "World", "effects_of"]
