"""Statements by which migrations written for psql keep a table of what is applied: the runbook's `schema_migrations`.

The engine's ledger does that, so they are not run. Whatever changes the table itself (CREATE, ALTER, DROP, TRUNCATE,
GRANT) is no bookkeeping. Rows of another tool in a table of this name are not ours: Rails, Ecto and dbmate number
their versions by 14 digits, golang-migrate has a column `dirty`, and they go on reading the table. What writes such a
row, and none of this migration, runs as it is. So does what names a column that no table of applied migrations has:
such a table is the application's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from migrator.frozen import frozen
from migrator.parsing.nodes import Node, enum, find, name_of, relations, strings
from migrator.parsing.routines import body_of, contents_of
from migrator.parsing.routines.constants import constant_of, variables
from migrator.parsing.statements import ParsedStatement, parse, plpgsql_tree

TABLE = "schema_migrations"
KEYS = ("version", "filename", "file", "name", "migration", "migration_name", "script", "script_name")
"""Columns that say of which migration a row is, the first that is there."""

COLUMNS = frozenset(
    [
        *KEYS, "applied", "applied_at", "applied_by", "applied_on", "app_version", "author", "backup_id", "batch",
        "category", "checksum", "comment", "commit", "commit_hash", "completed_at", "created_at", "created_by",
        "database", "description", "digest", "dirty", "duration", "duration_ms", "duration_seconds", "elapsed",
        "elapsed_ms", "engine_version", "env", "environment", "error", "error_message", "executed_at", "executed_by",
        "executed_on",
        "execution_ms", "execution_time", "execution_time_ms", "execution_time_seconds", "failed", "failed_at",
        "finished_at", "git_sha", "hash", "host", "hostname", "id", "installed_by", "installed_on", "installed_rank",
        "md5", "message", "migrated_at", "migration_id", "migration_type", "note", "notes", "reason", "release",
        "reverted_at", "risk_level", "rollback_at", "rollback_available", "rolled_back", "rolled_back_at",
        "rolled_back_by", "row_count", "rows", "rows_affected", "run_at",
        "run_by", "run_id", "run_on", "sha256", "started_at", "state", "status", "success",
        "tag", "ticket", "title", "type", "updated_at", "updated_by",
    ]
)  # fmt: skip
"""What a table of applied migrations is known to have."""

_WRITES = {
    "insert_stmt": "INSERT INTO",
    "update_stmt": "UPDATE",
    "delete_stmt": "DELETE FROM",
    "merge_stmt": "MERGE INTO",
}
_WRITERS = ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt")
_HARMLESS = frozenset(
    [
        "abs", "age", "array_agg", "array_to_string", "bool_and", "bool_or", "btrim", "clock_timestamp",
        "coalesce", "concat", "concat_ws", "convert_from", "convert_to", "count", "current_database",
        "current_schema", "current_setting", "current_user", "currval", "date_part", "date_trunc", "decode",
        "digest", "encode", "exists", "extract", "format", "gen_random_uuid", "greatest", "hashtext",
        "hashtextextended", "inet_client_addr", "inet_server_addr", "json_build_object", "jsonb_build_object",
        "least", "left", "length", "lower", "lpad", "ltrim", "make_interval", "max", "md5", "min", "nextval",
        "now", "nullif", "octet_length", "pg_advisory_lock", "pg_advisory_unlock", "pg_advisory_xact_lock",
        "pg_backend_pid", "pg_current_xact_id", "pg_is_in_recovery", "pg_postmaster_start_time",
        "pg_read_binary_file", "pg_read_file", "pg_try_advisory_lock", "pg_try_advisory_xact_lock",
        "regexp_replace", "replace", "right", "row_number", "rpad", "rtrim", "session_user", "sha224",
        "sha256", "sha384", "sha512", "split_part", "statement_timestamp", "string_agg", "strpos", "substr",
        "substring", "sum", "timeofday", "timezone", "to_char", "to_date", "to_regclass", "to_timestamp",
        "transaction_timestamp", "trim", "txid_current", "upper", "uuid_generate_v4", "version",
    ]
)  # fmt: skip
"""Functions that do nothing that would be missed. They take part in bookkeeping; any other might change something."""
_TIMESTAMP = re.compile(r"[0-9]{14}")


@frozen
class Kept:
    """A statement that does bookkeeping and nothing else."""

    what: str
    versions: tuple[str, ...] = ()
    certain: bool = True
    foreign: str | None = None
    """The version of another tool's row: no bookkeeping of ours."""


@frozen
class Mixed:
    """A statement that does bookkeeping and something else. `offset`: of that in the file, in characters."""

    what: str
    other: str
    offset: int


def judge(statement: ParsedStatement, *, version: str | None, own: str) -> Kept | Mixed | None:
    """None: no bookkeeping. `own`: the schema of the engine's ledger, which no file may name: `touches-the-ledger`.

    :param version: of the migration; None for a bare file, of which nobody knows it.
    """
    if not _may_name(statement.sql):
        return None
    if statement.name == "do_stmt":
        return _block(statement, version, own)
    if statement.name in ("update_stmt", "delete_stmt") and _asks_for_others(statement.tree):
        return None
    return _single(statement, version, own, {})


def is_of(found: str, version: str) -> bool:
    """Whether a row that is called `found` is that of `version`: its name, its file, or its number alone."""
    name = version_of(found)
    number = re.match(r"[0-9]+", version)
    return name in (version, f"{version}_rollback") or bool(
        name.isdecimal() and number is not None and int(name) == int(number[0])
    )


def version_of(text: str) -> str:
    """ "2025/001_x.sql" and "001_x" name the same version."""
    return PurePosixPath(text.strip()).name.removesuffix(".sql")


def _may_name(sql: str) -> bool:
    """Cheap, for the thousands of statements that have nothing to do with it. An escape may hide a letter."""
    text = sql.lower()
    return TABLE in text or "u&" in text


def _single(statement: ParsedStatement, version: str | None, own: str, known: Mapping[str, str]) -> Kept | Mixed | None:
    name, tree = statement.name, statement.tree
    if name == "lock_stmt":
        tables = [item.range_var for item in tree.relations]
        return Kept(f"LOCK TABLE {TABLE}") if tables and all(_is_it(one, own) for one in tables) else None
    if name == "select_stmt":
        return _read(statement, own, known)
    targets = [tree.relation] if name in _WRITES else []
    targets += [item.relation for item in find(tree, *_WRITERS) if item is not tree]
    ours = [one for one in targets if _is_it(one, own)]
    if not ours:
        return None
    if any(column not in COLUMNS for column in _columns_written(tree)):
        return None
    what = f"{_WRITES.get(name, 'a change of')} {TABLE}"
    others = [one.relname for one in targets if not _is_it(one, own)]
    if name not in _WRITES or others:
        return Mixed(what, f"a change of {others[0]}" if others else statement.kind, statement.start)
    called = next(_unknown_calls(tree), None)
    if called is not None:
        return Mixed(what, f"a call of {called}()", statement.start)
    versions, certain = _written(name, tree, known)
    if name == "merge_stmt" and version is not None and not certain:
        own_row = [one for item in find(tree, "ResTarget") if (one := _text(item.val, known)) and is_of(one, version)]
        versions, certain = tuple(own_row[:1]), bool(own_row)
    tool = _foreign(tree, versions, version)
    return Kept(what, versions, certain, tool)


def _columns_written(tree: Node) -> Iterator[str]:
    """Of its own table; that of a WITH has columns of its own."""
    name = type(tree).__name__
    if name == "InsertStmt":
        yield from (item.res_target.name for item in (*tree.cols, *tree.on_conflict_clause.target_list))
    elif name == "UpdateStmt":
        yield from (item.res_target.name for item in tree.target_list)
    for clause in tree.merge_when_clauses if name == "MergeStmt" else ():
        yield from (item.res_target.name for item in clause.merge_when_clause.target_list)


def _asks_for_others(tree: Node) -> bool:
    """Whether a condition compares a column that is none of such a table. In a block it may be a variable."""
    return any(
        name_of(side) == "column_ref" and len(names := strings(side.column_ref.fields)) > 0 and names[-1] not in COLUMNS
        for part in (_all_of(tree.where_clause) if tree.HasField("where_clause") else ())
        if name_of(part) == "a_expr"
        for side in (part.a_expr.lexpr,)
    )


def _read(statement: ParsedStatement, own: str, known: Mapping[str, str]) -> Kept | Mixed | None:
    """A SELECT that looks at the table and at nothing else: a check that people make before they begin."""
    tree = statement.tree
    inside = [item for item in find(tree, *_WRITERS)]
    if any(_is_it(item.relation, own) for item in inside):
        return Mixed(f"a change of {TABLE}", "SELECT", statement.start)
    if tree.HasField("into_clause") or inside or next(_unknown_calls(tree), None) is not None:
        return None
    tables = [*relations(tree)]
    if not tables or not all(_is_it(one, own) for one in tables):
        return None
    return Kept(f"SELECT from {TABLE}", tuple(_compared(tree, known)))


def _block(statement: ParsedStatement, version: str | None, own: str) -> Kept | Mixed | None:
    """A DO block. What is not SQL in it (IF, RAISE, variables) serves the rest."""
    body = body_of(statement)
    if body is None:
        return None
    contents = contents_of(body)
    tree = plpgsql_tree(statement.sql) if body.language == "plpgsql" else ""
    known = {} if isinstance(tree, str) else variables(tree)
    found: list[Kept] = []
    other: tuple[int, str] | None = None
    for piece in contents.pieces:
        for item in parse(piece.sql, file="").statements:
            judged = _single(item, version, own, known) if _may_name(item.sql) else None
            if isinstance(judged, Kept) and judged.foreign is None:
                found.append(judged)
            elif isinstance(judged, Mixed):
                return Mixed(judged.what, judged.other, piece.offset)
            elif other is None and not _is_neutral(item):
                other = piece.offset, item.kind
    if not found:
        return None
    gap = next(((one.offset, one.what) for one in contents.gaps), None)
    other = min((one for one in (other, gap) if one is not None), default=None)
    if other is not None:
        return Mixed(found[0].what, other[1], other[0])
    writes = [one.what for one in found if not one.what.startswith("SELECT")]
    what = f"DO with {' and '.join(dict.fromkeys(writes))}" if writes else f"DO that checks {TABLE}"
    versions = tuple(dict.fromkeys(name for one in found for name in one.versions))
    return Kept(what, versions, all(one.certain for one in found))


def _is_neutral(statement: ParsedStatement) -> bool:
    """An expression: reads no table, changes nothing."""
    if statement.name != "select_stmt" or next(find(statement.tree, "RangeVar"), None) is not None:
        return False
    return next(_unknown_calls(statement.tree), None) is None


def _is_it(relation: Node, own: str) -> bool:
    return bool(relation.relname == TABLE and relation.schemaname != own)


def _unknown_calls(tree: Node) -> Iterator[str]:
    for call in find(tree, "FuncCall"):
        *schema, name = strings(call.funcname) or ("",)
        if name not in _HARMLESS or schema not in ([], ["pg_catalog"], ["public"]):
            yield name


def _written(name: str, tree: Node, known: Mapping[str, str]) -> tuple[tuple[str, ...], bool]:
    """The versions whose rows a statement writes, and whether that is all of them."""
    if name == "insert_stmt":
        return _inserted(tree, known)
    compared = tuple(dict.fromkeys(_compared(tree, known)))
    if name == "merge_stmt":
        return compared, bool(compared)
    set_ = (
        [_text(item.res_target.val, known) for item in tree.target_list if item.res_target.name in KEYS[:1]]
        if (name == "update_stmt")
        else []
    )
    bounded = tree.HasField("where_clause") and any(_names_key(part, known) for part in _all_of(tree.where_clause))
    return (*compared, *(one for one in set_ if one is not None)), bounded and None not in set_


def _inserted(tree: Node, known: Mapping[str, str]) -> tuple[tuple[str, ...], bool]:
    columns = [item.res_target.name for item in tree.cols]
    place = next((columns.index(key) for key in KEYS if key in columns), 0)
    source = tree.select_stmt.select_stmt
    rows = [list(item.list.items) for item in source.values_lists]
    rows = rows or [[item.res_target.val for item in source.target_list]]
    found = [_text(row[place], known) if place < len(row) else None for row in rows]
    return tuple(one for one in found if one is not None), None not in found


def _all_of(condition: Node) -> Iterator[Node]:
    """The parts that must all be true."""
    if name_of(condition) == "bool_expr" and enum(condition.bool_expr, "boolop") == "AND_EXPR":
        for part in condition.bool_expr.args:
            yield from _all_of(part)
    else:
        yield condition


def _names_key(condition: Node, known: Mapping[str, str]) -> bool:
    return name_of(condition) == "a_expr" and bool(_values(condition.a_expr, known))


def _compared(tree: Node, known: Mapping[str, str]) -> Iterator[str]:
    """The versions that conditions anywhere in the statement name."""
    for item in find(tree, "A_Expr"):
        yield from _values(item, known)


def _values(item: Node, known: Mapping[str, str]) -> list[str]:
    """Of `version = '001_x'` and `version IN (...)`; none of any other condition."""
    kind = enum(item, "kind")
    if strings(item.name) != ("=",) or kind not in ("AEXPR_OP", "AEXPR_IN", "AEXPR_OP_ANY"):
        return []
    left, right = item.lexpr, item.rexpr
    if not _is_key(left):
        left, right = right, left
    if not _is_key(left):
        return []
    if kind == "AEXPR_OP":
        values = [right]
    else:
        values = list(right.list.items if name_of(right) == "list" else right.a_array_expr.elements)
    found = [_text(one, known) for one in values]
    return [one for one in found if one is not None] if None not in found else []


def _is_key(node: Node) -> bool:
    return (
        name_of(node) == "column_ref"
        and strings(node.column_ref.fields)[-1:] != ()
        and (strings(node.column_ref.fields)[-1] in KEYS)
    )


def _text(node: Node, known: Mapping[str, str]) -> str | None:
    """The value as text where it is certain, whatever type it is cast to."""
    while name_of(node) == "type_cast":
        node = node.type_cast.arg
    if name_of(node) == "a_const" and node.a_const.WhichOneof("val") == "fval":
        return str(node.a_const.fval.fval)
    return constant_of(node, known)


def _foreign(tree: Node, versions: tuple[str, ...], version: str | None) -> str | None:
    """A version of another tool, when all that are written are such."""
    if not versions or (version is not None and any(is_of(one, version) for one in versions)):
        return None
    dirty = any(item.name == "dirty" for item in find(tree, "ResTarget"))
    return versions[0] if dirty or all(_TIMESTAMP.fullmatch(version_of(one)) for one in versions) else None
