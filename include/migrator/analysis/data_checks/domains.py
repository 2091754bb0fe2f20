"""Values of a domain that a new, validated or NOT NULL constraint of it refuses.

The server looks at each column of the domain and of the domains over it; it refuses to alter a domain that an array, a
composite type or a range in a table contains (get_rels_with_domain in src/backend/commands/typecmds.c).
"""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.data_checks.catalogue import rows
from migrator.analysis.data_checks.suspects import Suspect, expression_sql, quoted
from migrator.database.session import Connection
from migrator.parsing.nodes import enum, strings
from migrator.parsing.statements import ParsedStatement


def domain_suspects(conn: Connection, statement: ParsedStatement) -> Iterator[Suspect]:
    """One suspect for each column of the domain, in the tables that the catalog knows."""
    if statement.name != "alter_domain_stmt":
        return
    tree = statement.tree
    domain = _domain_sql(statement)
    expression = null = None
    if tree.subtype == "O":
        null = True
    elif tree.subtype == "C":
        constraint = getattr(tree, "def").constraint
        if constraint.skip_validation:
            return
        null = enum(constraint, "contype") == "CONSTR_NOTNULL"
        expression = None if null else expression_sql(constraint.raw_expr)
    elif tree.subtype == "V":
        known = rows(conn, "domain_constraint", domain=domain, name=tree.name)
        expression = known[0]["expression"] if known else None
    if not null and expression is None:
        return
    for item in rows(conn, "domain_columns", domain=domain):
        column = quoted(item["column_name"])
        if null:
            what, where, sqlstate = f"{item['column_name']} is NULL", f"{column} IS NULL", "23502"
        else:
            value = f"(SELECT {expression} FROM (SELECT {item['table_name']}.{column} AS value) AS migrator_value)"  # noqa: S608
            what, where, sqlstate = f"{item['column_name']} does not satisfy the domain", f"NOT {value}", "23514"
        yield Suspect(statement.index, what, item["table_name"], where, sqlstate, only=True)


def domain_named(statement: ParsedStatement) -> tuple[str, str]:
    """The domain as SQL, and what is asked about it, when its columns cannot be found."""
    return _domain_sql(statement), "a column of the domain holds a value that does not satisfy it"


def _domain_sql(statement: ParsedStatement) -> str:
    return ".".join(quoted(part) for part in strings(statement.tree.type_name))
