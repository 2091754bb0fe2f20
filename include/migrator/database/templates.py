"""Which messages of PostgreSQL hold no value of a row: by the source file that raises them and the SQLSTATE.

A message is a template and arguments, and both fields (PG_DIAG_SOURCE_FILE, PG_DIAG_SQLSTATE) say in every language
which template it can be. Neither can be forged in SQL: RAISE may take any SQLSTATE and any text, but its source is
always exec_stmt_raise in pl_exec.c, and the other languages have files of their own. What is not listed here is not
told.

- `FIXED`: the template has no argument, or names what the catalog has (a constraint, a table, a privilege), whatever
  the statement was.
- `PARSED`: files whose arguments come from the text of a statement and from the catalog. The text may have been made
  at run time, from rows: see `frames.is_written`.
- `LOOKUPS`: functions that look up a name, both for statements and for values: `name::regclass` of a row.

All of it is read from the errmsg, errdetail and errhint of src/backend, releases 14 to 18.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Parts = frozenset[str]
MESSAGE = frozenset({"message"})
DETAILED = MESSAGE | {"detail"}
ALL = DETAILED | {"hint"}

VIOLATIONS: Mapping[str, tuple[str, ...]] = {
    "execMain.c": ("23502", "23514", "42501", "44000"),  # DETAIL: Failing row contains (...)
    "execIndexing.c": ("23P01",),  # DETAIL: Key (...)=(...) conflicts with existing key (...)=(...)
    "execPartition.c": ("23514",),  # DETAIL: Partition key of the failing row contains (...)
    "execExprInterp.c": ("23502", "23514"),  # of domains
    "domains.c": ("23502", "23514"),
    "nbtinsert.c": ("23505",),  # DETAIL: Key (...)=(...) already exists.
    "tuplesort.c": ("23505",),  # DETAIL: Key (...)=(...) is duplicated. Until 15.
    "tuplesortvariants.c": ("23505",),
    "ri_triggers.c": ("23503", "23001"),  # DETAIL: Key (...)=(...) is not present in table ...; 23001 since 18
    "tablecmds.c": ("23502", "23514", "23503"),
    "typecmds.c": ("23502", "23514"),
    "partbounds.c": ("23514",),
}
"""MESSAGE names constraint, table and column; DETAIL holds the row, so it is never told."""

FIXED: Mapping[str, Mapping[str, Parts]] = {
    **{file: dict.fromkeys(states, MESSAGE) for file, states in VIOLATIONS.items()},
    "postgres.c": dict.fromkeys(
        ("55P03", "57014", "57P01", "57P02", "57P05", "25P02", "25P03", "25P04", "40001", "40P01", "42601", "54001"),
        ALL,
    ),
    "stack_depth.c": {"54001": ALL},
    "xact.c": dict.fromkeys(("25001", "25P01", "25P02", "0A000", "40001"), ALL),
    "deadlock.c": {"40P01": ALL},
    "predicate.c": {"40001": ALL, "53200": ALL},
    "lock.c": {"53200": ALL, "55P03": ALL},
    "heapam.c": {"40001": ALL, "55P03": ALL},
    "heapam_handler.c": {"40001": ALL, "55P03": ALL},
    "nodeLockRows.c": {"40001": ALL},
    "nodeModifyTable.c": {"40001": ALL, "21000": ALL, "27000": ALL},
    "nodeSubplan.c": {"21000": ALL},
    "namespace.c": {"55P03": ALL},
    "lockcmds.c": {"55P03": ALL},
    "utility.c": {"25006": ALL, "25001": ALL},
    "parallel.c": {"25000": ALL},
    "aclchk.c": {"42501": ALL},
    "dependency.c": {"2BP01": ALL},
    "pg_shdepend.c": {"2BP01": ALL},
    "plancache.c": {"0A000": ALL},
    "enum.c": {"55P04": ALL},  # unsafe use of a new label of an enum type
    "int.c": {"22003": ALL, "22012": ALL},
    "int8.c": {"22012": ALL},
    "numeric.c": {"22003": DETAILED, "22012": ALL},
    "float.c": {"22012": ALL},
    "cash.c": {"22012": ALL},
    "varchar.c": {"22001": MESSAGE},  # the length that the type allows
    "regexp.c": {"2201B": MESSAGE},  # what is wrong with it, not what it is
    "sequence.c": {"2200H": MESSAGE},  # the limit that the sequence was given
    "proc.c": {"53300": ALL},
    "postinit.c": {"53300": ALL, "57P03": ALL},
    "varsup.c": {"54000": ALL},
    "mcxt.c": {"53200": ALL},
    "aset.c": {"53200": ALL},
    "md.c": {"53100": ALL},
    "fd.c": {"53100": ALL, "53400": ALL},
    "buffile.c": {"53100": ALL},
    "bufmgr.c": {"XX001": MESSAGE},
    "heaptoast.c": {"XX001": MESSAGE},
    "nbtpage.c": {"XX002": MESSAGE},
}

OF_FUNCTION: Mapping[tuple[str, str], Parts] = {
    ("exec_stmt_execsql", "P0002"): MESSAGE,
    ("exec_stmt_execsql", "P0003"): MESSAGE,
}
"""In pl_exec.c, where RAISE has its source, too. DETAIL holds the parameters (print_strict_params)."""

_TYPE = r"[a-z][a-z0-9_ ]*"
CUT: tuple[tuple[frozenset[str], re.Pattern[str], str], ...] = tuple(
    (frozenset(states), re.compile(template, re.DOTALL), told)
    for states, template, told in (
        (("22P02", "22007"), rf'(invalid input syntax for type {_TYPE})(?:: ".*)?', r"\1"),
        (("22P02",), r'(invalid input value for enum [\w.]+): ".*', r"\1"),
        (("22003",), rf'(?:value )?".*" is out of range for type ({_TYPE})', r"a value is out of range for type \1"),
        (("22003",), r"(value out of range: (?:over|under)flow)", r"\1"),
        (("22008",), r'((?:date/time field value|timestamp|interval|date|time) out of range)(?:: ".*)?', r"\1"),
    )
)
"""Templates of src/backend/utils/adt that name the type and then the value, or the other way round: what is told of
them. In English only; other languages get our words."""
CUT_FILES = frozenset(
    f"{name}.c"
    for name in (
        *("numutils", "int8", "numeric", "float", "uuid", "bool", "datetime", "date", "timestamp", "jsonfuncs", "json"),
        *("network", "mac", "mac8", "oid", "xid", "enum", "rangetypes", "geo_ops", "cash", "pg_lsn", "int"),
    )
)

PARSED = frozenset(
    f"{name}.c"
    for name in (
        # src/backend/parser
        *("parse_agg", "parse_clause", "parse_coerce", "parse_collate", "parse_cte", "parse_expr", "parse_func"),
        *("parse_jsontable", "parse_merge", "parse_node", "parse_oper", "parse_param", "parse_relation"),
        *("parse_target", "parse_utilcmd", "parser", "analyze"),
        # src/backend/catalog, rewrite and optimizer
        *("heap", "index", "catalog", "toasting", "pg_aggregate", "pg_collation", "pg_constraint", "pg_enum"),
        *("pg_inherits", "pg_namespace", "pg_operator", "pg_proc", "pg_publication", "pg_type", "partition"),
        *("rewriteDefine", "rewriteHandler", "rewriteManip", "plancat", "planner", "partbounds", "reloptions"),
        # src/backend/commands and tcop
        *("aggregatecmds", "alter", "cluster", "collationcmds", "comment", "conversioncmds", "copy", "createas"),
        *("define", "dropcmds", "event_trigger", "explain", "functioncmds", "indexcmds", "lockcmds", "matview"),
        *("opclasscmds", "operatorcmds", "policy", "publicationcmds", "schemacmds", "seclabel", "statscmds"),
        *("tablecmds", "trigger", "tsearchcmds", "typecmds", "user", "utility", "vacuum", "vacuumlazy", "view"),
    )
) | {"gram.y", "scan.l", "scansup.c"}

LOOKUPS = frozenset(
    f"{name}.c"
    for name in (
        *("namespace", "objectaddress", "parse_type", "regproc", "acl", "dbcommands", "tablespace", "extension"),
        *("foreign", "foreigncmds", "proclang", "guc", "lsyscache", "relation", "variable"),
    )
)

EXISTING = frozenset({"42501", "42710", "42723", "42P04", "42P06", "42P07", "55006"})
"""Of `PARSED` and `LOOKUPS`: permission denied, there already, in use. All of them name what the catalog has."""

SIGNATURES = frozenset({"parse_func.c", "parse_oper.c"})
"""Of `PARSED`, but they also serve pg_get_object_address()."""

ADDRESSES = frozenset(
    (
        *("get_event_trigger_oid", "get_publication_oid", "get_relation_constraint_oid", "get_relation_policy_oid"),
        *("get_trigger_oid", "LookupOperName", "OpClassCacheLookup", "OpFamilyCacheLookup"),
    )
)
"""Functions of `PARSED` that serve pg_get_object_address(), too: their names may be a row's."""

KNOWN = (FIXED.keys() | PARSED | LOOKUPS | CUT_FILES) - {"pl_exec.c"}
"""Their fields for schema, table, column, constraint and type are the catalog's (errtable, errtableconstraint and
others in src/backend/utils/cache)."""

NO_TEXT_OF_ITS_OWN = frozenset({"exec_stmt_raise", "exec_stmt_assert"})
"""What these raise is the words of whoever wrote the function, put together from whatever the function had."""
