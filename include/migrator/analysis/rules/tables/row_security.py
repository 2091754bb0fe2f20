"""Row level security without a policy, and changes of rows that policies hide."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.script import Script
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(script: Script) -> Iterator[Hit]:
    made = {
        subject.world.name(subject.statement.tree.table)
        for subject in script.everything()
        if subject.statement.name == "create_policy_stmt"
    }
    for subject in script.everything():
        if "AT_EnableRowSecurity" in subject.statement.subtypes:
            yield from _enabled(subject, made)
        elif subject.statement.name in ("update_stmt", "delete_stmt"):
            yield from _hidden(subject)


def _enabled(subject: Subject, made: set[str]) -> Iterator[Hit]:
    table = subject.world.name(subject.statement.tree.relation)
    facts = subject.world.relation(table)
    if table in made or subject.world.is_new(table) or (facts is not None and facts.policies):
        return
    doubt = "" if facts is not None else "; whether it has policies already, a connection would tell"
    yield Hit(
        f"without a policy {table} looks empty to everybody but its owner and superusers{doubt}",
        severity=Severity.WARNING if facts is not None else Severity.INFO,
        subject=subject,
    )


def _hidden(subject: Subject) -> Iterator[Hit]:
    catalog = subject.world.facts
    table = subject.world.name(subject.statement.tree.relation)
    facts = subject.world.relation(table)
    if catalog is None or facts is None or catalog.superuser or not facts.row_security:
        return
    if not facts.owned or facts.force_row_security:
        yield Hit(
            f"policies hide rows of {table} from {catalog.role}: {subject.statement.kind} silently leaves them as they"
            " are, unless the role has BYPASSRLS",
            severity=Severity.WARNING,
            subject=subject,
        )


RULE = Rule(
    id="row-security",
    severity=Severity.WARNING,
    condition="ENABLE ROW LEVEL SECURITY without a policy; UPDATE or DELETE under policies that hide rows",
    effect="applications see an empty table; a data migration changes fewer rows than it should, without an error",
    alternative="create the policies in the same migration; change rows as the owner or a role with BYPASSRLS",
    without_sql="always: which rows a role may see is a decision: create the policies first, in the same transaction",
    source=DOCS + "ddl-rowsecurity.html",
    aliases=("safe-migrate:restrictive-policy",),
    script=check,
)
