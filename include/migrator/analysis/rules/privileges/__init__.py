"""Rules about rights: who may do more than before, and what reaches beyond this database. Their risk is high."""

from __future__ import annotations

from migrator.analysis.rules.model import Rule
from migrator.analysis.rules.privileges import (
    another_role,
    catalog_rows,
    clear_password,
    definer_path,
    engine_limits,
    event_trigger_made,
    grant_public,
    ledger_touched,
    other_databases,
    other_sessions,
    role_powers,
    server_files,
    untrusted_code,
    whole_server,
)

RULES: tuple[Rule, ...] = (
    ledger_touched.RULE,
    role_powers.RULE,
    clear_password.RULE,
    grant_public.RULE,
    another_role.RULE,
    server_files.RULE,
    definer_path.RULE,
    whole_server.RULE,
    event_trigger_made.RULE,
    other_databases.RULE,
    other_sessions.RULE,
    engine_limits.RULE,
    untrusted_code.RULE,
    catalog_rows.RULE,
)
