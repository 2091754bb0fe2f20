"""What comes before a migration in its window: whether it is there, still comes, or will not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from migrator.errors import Refused
from migrator.gates.ahead import require
from migrator.ledger.rows import MigrationStatus
from tests.factories import make_plan
from tests.unit.ledger_rows import migration_row

FIRST = replace(make_plan(version="001_first"), content_digest="sha256:first")
PLAN = replace(make_plan(version="002_second"), ahead=(FIRST,))


def test_what_a_baseline_has_adopted_counts_as_the_same() -> None:
    """Nobody knows its content."""
    row = migration_row(version="001_first", status=MigrationStatus.SUCCESS, checksum=None)
    require(PLAN, (row,))
    require(PLAN, (replace(row, checksum="sha256:first"),))
    with pytest.raises(Refused, match="'001_first', which was applied with another content"):
        require(PLAN, (replace(row, checksum="sha256:other"),))
