"""Rules about tables, partitions, views and the rows in them."""

from __future__ import annotations

from migrator.analysis.rules.model import Rule
from migrator.analysis.rules.tables import (
    attach_partition,
    backfill,
    create_partition,
    detach_partition,
    disable_trigger,
    drop_cascade,
    drop_object,
    drop_table_locks,
    drop_used,
    event_trigger,
    partition_fan_out,
    refresh_view,
    rename,
    revoke,
    row_security,
    sequence_headroom,
    sequence_keeps_type,
    sequence_left_behind,
    storage,
    truncate,
    vacuum_full,
    without_where,
)

RULES: tuple[Rule, ...] = (
    drop_object.RULE,
    drop_table_locks.RULE,
    drop_cascade.RULE,
    drop_used.RULE,
    truncate.RULE,
    without_where.RULE,
    backfill.RULE,
    rename.RULE,
    vacuum_full.RULE,
    storage.RULE,
    refresh_view.RULE,
    create_partition.RULE,
    attach_partition.RULE,
    detach_partition.RULE,
    partition_fan_out.RULE,
    disable_trigger.RULE,
    row_security.RULE,
    event_trigger.RULE,
    sequence_headroom.RULE,
    sequence_left_behind.RULE,
    sequence_keeps_type.RULE,
    revoke.RULE,
)
