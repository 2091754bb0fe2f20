"""Files and programs of the server."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.privileges.calls import called
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity

FUNCTIONS = ("pg_read_file", "pg_read_binary_file", "pg_ls_dir", "pg_stat_file", "lo_import", "lo_export")


def check(subject: Subject) -> Iterator[Hit]:
    tree = subject.statement.tree
    if subject.statement.name == "copy_stmt":
        if tree.is_program:
            yield Hit(f"runs a program on the server: {tree.filename}", severity=Severity.ERROR)
        elif tree.filename:
            yield Hit(f"{'reads' if tree.is_from else 'writes'} a file of the server: {tree.filename}")
    for name in called(subject, FUNCTIONS):
        yield Hit(f"{name}() reaches files of the server")


RULE = Rule(
    id="reaches-the-servers-files",
    severity=Severity.WARNING,
    condition="COPY with a file or PROGRAM, lo_import(), lo_export(), pg_read_file() and the like",
    effect="what is in the file is in no review, and no other server has it; a program runs as the server does",
    alternative="COPY ... FROM STDIN is done by the client; load data with a step of its own",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "sql-copy.html",
    statement=check,
    in_rollback=True,
)
