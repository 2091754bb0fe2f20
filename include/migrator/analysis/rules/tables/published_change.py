"""UPDATE or DELETE of a published table without a replica identity: only the copy lets it pass."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.effects.rows.published import REFUSED
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    for failure in subject.effects.may_fail:
        if failure.message.endswith(REFUSED):
            yield Hit(f"the server will refuse it (55000): {failure.message}")


RULE = Rule(
    id="published-without-identity",
    severity=Severity.WARNING,
    condition="UPDATE, DELETE or MERGE of a table in a publication of such changes that has neither a primary key nor"
    " another replica identity",
    effect="PostgreSQL refuses it, however few rows it finds; the dry run does not tell, because copies have no"
    " publications",
    alternative="give the table a primary key first, or name the rows by all of their columns: ALTER TABLE ... REPLICA"
    " IDENTITY FULL",
    without_sql="always: which columns name a row is the author's to say",
    source=DOCS + "logical-replication-publication.html",
    statement=check,
    in_rollback=True,
)
