"""ADD COLUMN of a domain that has constraints."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.effects.alter.add_column import may_be_domain
from migrator.analysis.rules.alteration import Alteration, alterations
from migrator.analysis.rules.model import Hit, Rule
from migrator.analysis.rules.online.columns import add_column, domain_of, with_base_type
from migrator.analysis.walk.subject import Subject
from migrator.facts.facts import DomainFacts
from migrator.parsing.nodes import strings
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    for item in alterations(subject, "AT_AddColumn"):
        domain = domain_of(item, item.column_def)
        if domain is not None and domain.constrained and item.effects.rewrites:
            name = ".".join(strings(item.column_def.type_name.names))
            yield Hit(
                f"adding {item.column_def.colname} rewrites {item.table}{item.size}, because its domain {name} has a"
                " constraint, even where all values are NULL; nobody can read or write the table meanwhile",
                severity=item.severity_of(assumed=False),
                alternative_sql=_alternative(item, domain),
                part=item.position,
            )
        elif subject.world.facts is None and may_be_domain(item.column_def.type_name):
            parts = strings(item.column_def.type_name.names)
            if subject.world.type(parts) is None:
                what = f"if {'.'.join(parts)} is a domain with a constraint, {item.table} is rewritten"
                yield Hit(f"{what}; a connection would tell", severity=Severity.INFO)


def _alternative(item: Alteration, domain: DomainFacts) -> str | None:
    """The base type with the domain's checks on the table. Another schema, so it is offered for this column alone."""
    if len(item.subject.statement.tree.cmds) > 1:
        return None
    plain = with_base_type(item, domain)
    steps = add_column(plain) if plain is not None else None
    return steps.script() if steps is not None else None


RULE = Rule(
    id="add-column-domain",
    severity=Severity.WARNING,
    condition="ADD COLUMN of a domain with CHECK or NOT NULL; needs a connection",
    effect="ACCESS EXCLUSIVE lock while the whole table and its indexes are written anew, without a default, too",
    alternative="use the domain's base type, with a CHECK on the table that is added NOT VALID and validated later",
    without_sql="with other parts in the same ALTER TABLE, or a domain that nobody can look up: the base type with"
    " CHECKs ends in another schema, and is offered for one column alone",
    source="https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/commands/tablecmds.c (ATExecAddColumn)",
    on=("alter_table_stmt",),
    subtypes=("AT_AddColumn",),
    statement=check,
    in_rollback=True,
)
