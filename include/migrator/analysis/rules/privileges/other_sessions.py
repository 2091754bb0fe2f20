"""What others are doing, and the server as a whole."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.privileges import functions
from migrator.analysis.rules.privileges.functions import reached
from migrator.analysis.walk.spots import Spot
from migrator.plan import Severity

_FUNCTIONS = """
pg_backup_start pg_backup_stop pg_cancel_backend pg_copy_logical_replication_slot pg_copy_physical_replication_slot
pg_create_logical_replication_slot pg_create_physical_replication_slot pg_create_restore_point
pg_drop_replication_slot pg_log_backend_memory_contexts pg_log_standby_snapshot pg_logical_emit_message
pg_logical_slot_get_binary_changes pg_logical_slot_get_changes pg_logical_slot_peek_binary_changes
pg_logical_slot_peek_changes pg_promote pg_reload_conf pg_replication_origin_advance pg_replication_origin_create
pg_replication_origin_drop pg_replication_origin_session_reset pg_replication_origin_session_setup
pg_replication_origin_xact_reset pg_replication_origin_xact_setup pg_replication_slot_advance pg_rotate_logfile
pg_start_backup pg_stat_reset pg_stat_reset_backend_stats pg_stat_reset_replication_slot pg_stat_reset_shared
pg_stat_reset_single_function_counters pg_stat_reset_single_table_counters pg_stat_reset_slru
pg_stat_reset_subscription_stats pg_stop_backup pg_stop_making_pinned_objects pg_switch_wal
pg_sync_replication_slots pg_terminate_backend pg_wal_replay_pause pg_wal_replay_resume
"""
FUNCTIONS = frozenset(_FUNCTIONS.split())
"""tests/integration/test_privileges.py compares with what the server keeps from PUBLIC."""


def check(spot: Spot) -> Iterator[Hit]:
    for what in reached(spot, FUNCTIONS):
        yield Hit(f"{what}, which reaches other sessions, or the server as a whole")


RULE = Rule(
    id="ends-or-steers-others",
    severity=Severity.WARNING,
    condition="pg_terminate_backend(), pg_cancel_backend(), pg_reload_conf(), replication slots and the like, called or"
    " made callable by another name",
    effect="it ends or steers what others are doing; the rehearsal on the copy cannot show whom it will meet",
    alternative="the engine waits for locks with a timeout and names who holds them; let a person decide",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "functions-admin.html",
    spot=check,
    kinds=functions.KINDS,
    in_rollback=True,
)
