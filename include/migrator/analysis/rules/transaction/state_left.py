"""Settings of the session that a file leaves behind."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.script import Script
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import enum
from migrator.plan import Severity

WHERE_AND_WHEN = {
    "search_path": "RESET search_path;",
    "session_replication_role": "RESET session_replication_role;",
    "row_security": "RESET row_security;",
    "timezone": "RESET timezone;",
    "datestyle": "RESET datestyle;",
}
"""By lower-case name. Roles are `acts-as-another-role`'s; timeouts and memory change no meaning."""


def check(script: Script) -> Iterator[Hit]:
    left: dict[str, Subject] = {}
    for subject in script.subjects:
        tree = subject.statement.tree
        if subject.statement.name != "variable_set_stmt":
            continue
        name, kind = str(tree.name).lower().replace(" ", "_"), enum(tree, "kind")
        if kind == "VAR_RESET_ALL":
            left.clear()
        elif kind in ("VAR_RESET", "VAR_SET_DEFAULT"):
            left.pop(name, None)
        elif name in WHERE_AND_WHEN and not tree.is_local:
            left[name] = subject
    for name, subject in left.items():
        yield Hit(
            f"{name} stays as it is set here until the step is over",
            alternative_sql=WHERE_AND_WHEN[name],
            subject=subject,
        )


RULE = Rule(
    id="session-state-left",
    severity=Severity.INFO,
    condition="SET of search_path, row_security, TimeZone and the like that nothing takes back",
    effect="every statement after it looks there first, also one that somebody adds later; the ledger's row is written"
    " as the engine all the same",
    alternative="SET LOCAL in a transaction, or RESET after the statements it is for",
    source=DOCS + "sql-reset.html",
    script=check,
    in_rollback=True,
)
