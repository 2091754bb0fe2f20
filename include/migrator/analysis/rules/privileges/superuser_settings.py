"""Settings that only superusers may change."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.privileges import settings
from migrator.analysis.walk.spots import Spot
from migrator.plan import Severity

_NAMES = """
allow_in_place_tablespaces allow_system_table_mods backtrace_functions commit_delay compute_query_id
deadlock_timeout debug_discard_caches dynamic_library_path event_triggers extension_control_path
ignore_checksum_failure ignore_system_indexes jit_debugging_support jit_dump_bitcode jit_profiling_support
jit_provider lc_messages lo_compat_privileges local_preload_libraries log_connections log_disconnections
log_duration log_error_verbosity log_executor_stats log_lock_failures log_lock_waits log_min_duration_sample
log_min_duration_statement log_min_error_statement log_min_messages log_parameter_max_length log_parser_stats
log_planner_stats log_replication_commands log_statement log_statement_sample_rate log_statement_stats
log_temp_files log_transaction_sample_rate max_stack_depth post_auth_delay session_preload_libraries temp_file_limit
track_activities track_cost_delay_timing track_counts track_functions track_io_timing track_wal_io_timing
update_process_title wal_compression wal_consistency_checking wal_init_zero wal_recycle zero_damaged_pages
"""
NAMES = frozenset(_NAMES.split())
"""pg_settings.context superuser and superuser-backend, and local_preload_libraries, of PostgreSQL 14 to 18, without
session_replication_role, which is `lifts-the-engines-limits`'. tests/integration/test_privileges.py compares."""


def check(spot: Spot) -> Iterator[Hit]:
    for change in settings.changes(spot):
        if change.name in NAMES and not change.back:
            yield Hit(f"sets {change.name}, which only superusers may")


RULE = Rule(
    id="sets-what-superusers-may",
    severity=Severity.WARNING,
    condition="SET, set_config() or ALTER ... SET of a setting that only superusers may change:"
    " allow_system_table_mods, event_triggers, log_statement, session_preload_libraries",
    effect="a guard of the server is off, its log does not tell what happens, or it loads other code",
    alternative="let the administrators of the server do it, apart from migrations",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "view-pg-settings.html",
    spot=check,
    kinds=settings.KINDS,
    in_rollback=True,
)
