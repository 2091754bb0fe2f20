"""Files and programs of the server."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.privileges import functions
from migrator.analysis.rules.privileges.functions import reached
from migrator.analysis.walk.spots import Spot
from migrator.parsing.nodes import find
from migrator.plan import Severity

_FUNCTIONS = """
lo_export lo_import pg_current_logfile pg_hba_file_rules pg_ident_file_mappings pg_ls_archive_statusdir pg_ls_dir
pg_ls_logdir pg_ls_logicalmapdir pg_ls_logicalsnapdir pg_ls_replslotdir pg_ls_summariesdir pg_ls_tmpdir pg_ls_waldir
pg_read_binary_file pg_read_file pg_show_all_file_settings pg_stat_file pg_file_length pg_file_read pg_file_rename
pg_file_sync pg_file_unlink pg_file_write pg_logdir_ls
"""
FUNCTIONS = frozenset(_FUNCTIONS.split())
"""pg_file_... and pg_logdir_ls are those of the extension adminpack, which puts them into pg_catalog."""
EXTENSIONS = ("adminpack", "file_fdw", "orafce", "pg_orphaned")


def check(spot: Spot) -> Iterator[Hit]:
    node = spot.node
    if spot.kind == "CopyStmt":
        if node.is_program:
            yield Hit(f"runs a program on the server: {node.filename}", severity=Severity.ERROR)
        elif node.filename:
            yield Hit(f"{'reads' if node.is_from else 'writes'} a file of the server: {node.filename}")
    elif spot.kind == "CreateExtensionStmt":
        if node.extname in EXTENSIONS:
            yield Hit(f"{node.extname} reaches files of the server")
    elif spot.kind in ("CreateForeignTableStmt", "AlterTableStmt"):
        for option in find(node, "DefElem"):
            if option.defname == "program":
                yield Hit(f"runs a program on the server: {option.arg.string.sval}", severity=Severity.ERROR)
            elif option.defname == "filename":
                yield Hit(f"reads a file of the server: {option.arg.string.sval}")
    else:
        for what in reached(spot, FUNCTIONS):
            yield Hit(f"{what}, which reaches files of the server")


RULE = Rule(
    id="reaches-the-servers-files",
    severity=Severity.WARNING,
    condition="COPY or a foreign table with a file or PROGRAM, lo_import(), lo_export(), pg_read_file() and the like,"
    " called or made callable by another name",
    effect="what is in the file is in no review, and no other server has it; a program runs as the server does",
    alternative="COPY ... FROM STDIN is done by the client; load data with a step of its own",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "sql-copy.html",
    spot=check,
    kinds=("CopyStmt", "CreateExtensionStmt", "CreateForeignTableStmt", "AlterTableStmt", *functions.KINDS),
    in_rollback=True,
)
