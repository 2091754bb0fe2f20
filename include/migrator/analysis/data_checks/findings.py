"""Rows that a file would fail on, as findings."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.data_checks.ask import look_for
from migrator.database.session import Connection
from migrator.parsing.statements import ParsedFile
from migrator.plan import Finding, Severity

RULE = "rows-in-the-way"


def findings_of(conn: Connection, parsed: ParsedFile) -> Iterator[Finding]:
    """An error for rows that were found; what could not be looked for is told as well."""
    for item in look_for(conn, parsed.statements):
        statement = parsed.statements[item.statement]
        certain = item.rows is not None
        yield Finding(
            rule=RULE,
            severity=Severity.ERROR if certain else Severity.INFO,
            message=f"fails with {item.sqlstate}: {item}" if certain else str(item),
            help="mend these rows in a migration before this one" if certain else "the dry run will tell",
            file=parsed.file,
            line=statement.line,
            column=statement.column,
            statement=statement.index,
        )
