"""Rules about rights: who may do more than before, and what reaches beyond this database. Their risk is high."""

from __future__ import annotations

from migrator.analysis.rules.model import Rule
from migrator.analysis.rules.privileges import (
    another_role,
    catalog_rows,
    clear_password,
    default_privileges,
    definer_path,
    engine_limits,
    event_trigger_made,
    grant_of_server,
    grant_public,
    half_known,
    ledger_touched,
    lost_rights,
    other_databases,
    other_sessions,
    ownership,
    policies,
    role_powers,
    secrets_read,
    server_files,
    superuser_settings,
    untrusted_code,
    whole_server,
)

RULES: tuple[Rule, ...] = (
    ledger_touched.RULE,
    role_powers.RULE,
    clear_password.RULE,
    secrets_read.RULE,
    grant_public.RULE,
    default_privileges.RULE,
    grant_of_server.RULE,
    ownership.RULE,
    policies.RULE,
    another_role.RULE,
    server_files.RULE,
    definer_path.RULE,
    whole_server.RULE,
    event_trigger_made.RULE,
    other_databases.RULE,
    other_sessions.RULE,
    engine_limits.RULE,
    superuser_settings.RULE,
    untrusted_code.RULE,
    catalog_rows.RULE,
    half_known.RULE,
    lost_rights.RULE,
)
