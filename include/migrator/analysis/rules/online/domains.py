"""A constraint of a domain that lets writers work: new values obey it NOT VALID, old ones are checked table by table.

VALIDATE of a domain locks every table with a column of it SHARE at the same time, whatever their CHECKs prove
(validateDomainCheckConstraint in typecmds.c), so the domain's own constraint stays NOT VALID.
"""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.effects import World
from migrator.analysis.rules.names import object_name
from migrator.analysis.rules.online.backfill import expression
from migrator.analysis.rules.online.expressions import constraint_of, with_column
from migrator.analysis.rules.online.steps import Steps
from migrator.facts.facts import DomainFacts
from migrator.parsing.build import build, range_var
from migrator.parsing.nodes import Node, assign, copy_of, enum, strings


def by_table(node: Node, world: World) -> str | None:
    """ALTER DOMAIN ADD CHECK, SET NOT NULL or VALIDATE as migrations; for ADD CHECK, where the tables are not known or
    have no plain column of the domain, the constraint NOT VALID alone."""
    stmt = node.alter_domain_stmt
    domain = world.domain(strings(stmt.type_name))
    made = _constraint(stmt, domain)
    if made is None:
        return None
    steps = Steps() if stmt.subtype == "V" else Steps(expand=(_not_valid(node, made),))
    columns = tuple(_columns(stmt, domain, world)) if domain is not None else ()
    if domain is None or len({table for table, _ in columns}) < len(set(domain.tables)):
        return steps.script() if stmt.subtype == "C" else None
    for table, column in columns:
        steps += _checked(table, column, made)
    return steps.script()


def _constraint(stmt: Node, domain: DomainFacts | None) -> Node | None:
    """What the values have to obey, as a CHECK over VALUE."""
    if stmt.subtype == "O":
        name = object_name(strings(stmt.type_name)[-1], "", "not_null")
        return constraint_of("CHECK (value IS NOT NULL)", name)
    if stmt.subtype == "V":
        known = next((item for item in domain.constraints if item.name == stmt.name), None) if domain else None
        return constraint_of(known.definition, known.name) if known is not None and not known.validated else None
    constraint = getattr(stmt, "def").constraint
    return copy_of(constraint) if enum(constraint, "contype") == "CONSTR_CHECK" else None


def _not_valid(node: Node, constraint: Node) -> Node:
    result = build("ALTER DOMAIN d ADD CONSTRAINT con CHECK (true)")
    del result.alter_domain_stmt.type_name[:]
    result.alter_domain_stmt.type_name.extend(node.alter_domain_stmt.type_name)
    made = getattr(result.alter_domain_stmt, "def").constraint
    assign(made, constraint)
    made.skip_validation, made.initially_valid = True, False
    return result


def _columns(stmt: Node, domain: DomainFacts, world: World) -> Iterator[tuple[str, str]]:
    """Plain columns of the domain; those of arrays, composite types and domains over it are left out."""
    names = {".".join(strings(stmt.type_name)), strings(stmt.type_name)[-1]}
    for name in domain.tables:
        facts = world.relation(name)
        for column, known in facts.columns.items() if facts is not None and facts.kind == "r" else ():
            if known.domain and known.type.replace('"', "") in names:
                yield name, column


def _checked(relation: str, column: str, constraint: Node) -> Steps:
    """A CHECK that is dropped when it has served."""
    table = range_var(relation)
    name = object_name(table.relname, column, "domain_check")
    test = with_column(constraint.raw_expr, "value", expression("SELECT c", c=column))
    return Steps(
        constrain=(build("ALTER TABLE tbl ADD CONSTRAINT con CHECK (test) NOT VALID", tbl=table, con=name, test=test),),
        validate=(build("ALTER TABLE tbl VALIDATE CONSTRAINT con", tbl=table, con=name),),
        after=(build("ALTER TABLE tbl DROP CONSTRAINT con", tbl=table, con=name),),
    )
