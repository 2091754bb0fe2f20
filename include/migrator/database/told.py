"""What may be told of an error or a notice of a server's, and what of it is kept apart.

Told is what `templates` knows to hold no row: the server's own MESSAGE, and DETAIL and HINT where those are as safe.
Otherwise our own words for its SQLSTATE, with the names that the diagnostic has in fields of their own: schema, table,
column, constraint, type, and the function and line of its CONTEXT. Names that only the text of the message has are told
when they stand in the migration's own text, which is in git. So is a text that RAISE puts together, with its `%`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import resources

import psycopg
from psycopg.errors import Diagnostic

from migrator.database import templates, withheld
from migrator.database.frames import frames, is_written
from migrator.errors import MigratorError
from migrator.frozen import frozen

SAYS: dict[str, str] = {
    "22001": "a value is too long for its type",
    "22003": "a number is outside the range of its type",
    "22007": "a text is no date or time",
    "22008": "a date or time is outside the range of its type",
    "22012": "division by zero",
    "22021": "a text has bytes that its encoding does not have",
    "22023": "a parameter of a function or a setting has a value that it may not have",
    "22032": "a text is no JSON",
    "22P02": "a text is no value of the type that it is converted to",
    "22P04": "a line of COPY does not fit the table",
    "23001": "rows are still referred to",
    "23502": "a column that must be filled is NULL",
    "23503": "rows refer to a row that is not there, or are still referred to",
    "23505": "rows have equal keys",
    "23514": "rows do not fulfil a check",
    "23P01": "rows exclude each other",
    "2200H": "a sequence has reached its limit",
    "42601": "the text has a syntax error",
    "42703": "there is no such column",
    "42704": "there is no such object",
    "42883": "there is no such function or operator",
    "42P01": "there is no such relation",
    "42P06": "the schema is there already",
    "42P07": "the relation is there already",
    "42710": "the object is there already",
    "3F000": "there is no such schema",
    "P0001": "SQL raised an exception of its own",
    "P0002": "a query gave no row",
    "P0003": "a query gave more than one row",
    "P0004": "an ASSERT of a function does not hold",
}
LABELS = {"message_primary": "message", "message_detail": "detail", "message_hint": "hint"}
"""As psql names the fields of a diagnostic."""
NAMES = ("schema_name", "table_name", "column_name", "constraint_name", "datatype_name")
HIDDEN = "…"
"""Stands for a name that nobody has written."""
_KNOWN: ContextVar[Callable[[str], bool] | None] = ContextVar("known_names", default=None)
_QUOTED = re.compile(r'"([^"]+)"')
_VOCABULARY = frozenset(
    (
        *("relation", "table", "view", "materialized", "index", "sequence", "schema", "database", "role", "type"),
        *("function", "procedure", "column", "constraint", "trigger", "policy", "language", "extension", "tablespace"),
        *("server", "operator", "collation", "class", "family", "method", "access", "unrecognized", "configuration"),
        *("parameter", "invalid", "value", "for", "of", "on", "the", "does", "not", "exist", "already", "exists"),
        *("available", "is", "a", "an", "skipping"),
    )
)
"""Of the templates in which every argument stands in quotation marks."""
_SIGNATURE = re.compile(r"\w+ ([^\s(]+)\(")
"""`function public.f(integer) does not exist`: the types are the catalog's own."""
_CHUNK = re.compile(r'[^\s"]+')
"""What stands together outside of quotation marks; names in them are looked at as a whole first."""
_MARKS = "«»„“”‘’‚‹›…"
"""Of the server's own words, in whatever language, and of ours. Other signs beyond ASCII can be somebody's data."""
_EDGE = rf"(?:[^\w\x80-\U0010ffff]|[{_MARKS[:-1]}])*"
_EDGES = re.compile(rf"({_EDGE}).*?({_EDGE})")
_WORD = re.compile(rf"\w+|[^\x00-\x7f\w\s{_MARKS}]+")
_OWN_WORDS = ("deferred", "until", "commit", "inline_code_block", "sql", "pl", "pgsql", "plpgsql")
_LITERAL = re.compile(r"(?='((?:[^'\n]|'')*)')")
_KEY = re.compile(r"\((.*?)\)=\(")
"""`Key (a, b)=(1, 2)`: names come before values, and in every language between these brackets
(BuildIndexValueDescription in src/backend/access/index/genam.c, ri_ReportViolation in ri_triggers.c)."""


@frozen
class Told:
    text: str
    """For everybody."""
    where: tuple[str, ...] = ()
    """Functions and lines, the innermost first."""
    columns: str = ""
    """Of a violated key, as the server lists them."""
    named: bool = False
    """Whether the diagnostic's fields for schema, table, column and constraint are the catalog's."""
    kept: str | None = None
    """The server's own words, when some of them are not in `text`."""


@contextmanager
def names_known(known: Callable[[str], bool]) -> Iterator[None]:
    """While it lasts only such names are told. SQL may make a table that is called like a row's content: then even the
    server's own template with that name in it tells the row."""
    token = _KNOWN.set(known)
    try:
        yield
    finally:
        _KNOWN.reset(token)


def are_names_known() -> bool:
    return _KNOWN.get() is not None


def is_known(name: str) -> bool:
    """Whether it may be told now."""
    known = _KNOWN.get()
    return known is None or known(name)


def tell(diagnostic: Diagnostic, *, written: str = "") -> Told:
    """
    :param written: the text that the migration's author has written and that the server was executing.
    """
    return _without_unknown(_tell(diagnostic, written), diagnostic)


def _tell(diagnostic: Diagnostic, written: str) -> Told:
    parts = _parts(diagnostic, written)
    message = diagnostic.message_primary or ""
    text, whole = (
        (message, True) if "message" in parts else (_as_written(diagnostic, written) or _own(diagnostic), False)
    )
    columns = _columns(diagnostic)
    if columns:
        text += f", columns ({columns})" if "," in columns else f", column {columns}"
    extra = []
    for part, said in (("detail", diagnostic.message_detail), ("hint", diagnostic.message_hint)):
        if said and part in parts:
            extra.append(said)
        elif said:
            whole = False
    where = frames(diagnostic.context)
    if diagnostic.context and len(where) < len(diagnostic.context.split("\n")):
        whole = False
    text = "; ".join([text, *extra]) + _called(where)
    named = _is_of_the_server(diagnostic)
    return Told(text, where, columns, named, None if whole else "\n".join(_all_of(diagnostic)))


def told_and_kept(diagnostic: Diagnostic, *, written: str = "", place: str = "") -> Told:
    """The same, and what may not be told is put where the run keeps it.

    :param place: what was executed, for whoever reads the file.
    """
    told = tell(diagnostic, written=written)
    if told.kept is not None:
        withheld.keep(f"{place}{diagnostic.severity_nonlocalized or 'ERROR'}\n{told.kept}")
    return told


def words(error: BaseException) -> str:
    """What may be told of an error, whoever has raised it. Not of the driver's alone: those of its errors that no
    server has sent are about values that it was to read or to write."""
    if not isinstance(error, psycopg.Error):
        return str(error) if isinstance(error, MigratorError) else type(error).__name__
    if error.sqlstate is not None and error.diag.message_primary is not None:
        return told_and_kept(error.diag).text
    text = " ".join(str(error).split())
    if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
        return text or type(error).__name__  # libpq's own: where the server is and why it does not answer
    withheld.keep(f"{type(error).__name__}: {text}")
    return f"the driver could not send or read a value ({type(error).__name__})"


def condition(sqlstate: str | None) -> str:
    """The name that PL/pgSQL knows it by: `unique_violation`. Empty for a SQLSTATE that somebody has made up."""
    try:
        name = psycopg.errors.lookup(sqlstate or "").__name__
    except KeyError:
        return ""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().rstrip("_")


def _parts(diagnostic: Diagnostic, written: str) -> templates.Parts:
    file, state = diagnostic.source_file or "", diagnostic.sqlstate or ""
    if diagnostic.source_function in templates.NO_TEXT_OF_ITS_OWN:
        return frozenset()
    if file == "pl_exec.c":
        return templates.OF_FUNCTION.get((diagnostic.source_function or "", state), frozenset())
    fixed = templates.FIXED.get(file, {}).get(state)
    if fixed is not None:
        return fixed
    if state in templates.EXISTING and file in templates.PARSED | templates.LOOKUPS:
        return templates.ALL
    certain = is_written(diagnostic.context, diagnostic.internal_query)
    certain = certain and (are_names_known() or diagnostic.source_function not in templates.ADDRESSES)
    if file in templates.PARSED and certain and (file not in templates.SIGNATURES or _is_called(diagnostic, written)):
        return templates.ALL
    if file in templates.PARSED | templates.LOOKUPS and _names_are_written(diagnostic.message_primary or "", written):
        return templates.ALL if certain else templates.MESSAGE
    return frozenset()


def _is_called(diagnostic: Diagnostic, written: str) -> bool:
    """Whether the function that is missing stands in a text: the parser says where, what looks an object's address up
    (pg_get_object_address) does not."""
    if diagnostic.statement_position or diagnostic.internal_position:
        return True
    found = _SIGNATURE.search(diagnostic.message_primary or "")
    return found is None or _stands_in(found[1], written)


def _names_are_written(message: str, written: str) -> bool:
    """Whether each name that the message quotes stands in the migration's text, and nothing else varies in it."""
    rest = set(re.findall(r"[^\s,;:.]+", _QUOTED.sub(" ", message)))
    return rest <= _VOCABULARY and all(_stands_in(name, written) for name in _QUOTED.findall(message))


def _stands_in(name: str, written: str) -> bool:
    parts = [rf'"?{re.escape(part)}"?' for part in name.split(".")]
    dotted = r"\s*\.\s*".join(parts)
    return re.search(rf"(?<!\w){dotted}(?!\w)", written, re.IGNORECASE) is not None


def _called(where: Sequence[str]) -> str:
    return f", in {', called in '.join(where)}" if where else ""


def _without_unknown(told: Told, diagnostic: Diagnostic) -> Told:
    known = _KNOWN.get()
    if known is None:
        return told

    def is_known(word: str, place: bool) -> bool:
        return word.lower() in message_words() or known(word) or (place and word.isdecimal())

    def hide(text: str, *, place: bool = False) -> str:
        """:param place: its numbers are lines and statements."""

        def told_chunk(found: re.Match[str]) -> str:
            """With one unknown word all is hidden that stands with it."""
            if all(is_known(word, place) for word in _WORD.findall(found[0])):
                return found[0]
            before, after = _EDGES.fullmatch(found[0]).groups()  # type: ignore[union-attr]
            return f"{before}{HIDDEN}{after}"

        text = _QUOTED.sub(lambda found: found[0] if known(found[1]) else f'"{HIDDEN}"', text)
        return _CHUNK.sub(told_chunk, text)

    where, columns = tuple(hide(frame, place=True) for frame in told.where), hide(told.columns)
    text = hide(told.text.removesuffix(_called(told.where))) + _called(where)
    if (text, where, columns) == (told.text, told.where, told.columns):
        return told
    # The fields of the diagnostic are told one by one elsewhere.
    return Told(text, where, columns, False, told.kept or "\n".join(_all_of(diagnostic)))


@functools.cache
def message_words() -> frozenset[str]:
    """Of the server's own messages, in lower case, and of ours. The file has what the programs of 14 to 18 hold."""
    listed = resources.files(__package__).joinpath("message_words.txt").read_text(encoding="utf-8")
    return frozenset((*listed.split(), *" ".join(SAYS.values()).lower().split(), *_OWN_WORDS))


def _as_written(diagnostic: Diagnostic, written: str) -> str | None:
    """The text that RAISE has in the migration itself, its `%` not filled in: no more than what git has."""
    if diagnostic.source_function not in templates.NO_TEXT_OF_ITS_OWN:
        return None
    message = diagnostic.message_primary or ""
    found = (literal.replace("''", "'") for literal in _LITERAL.findall(written))
    fitting = [text for text in found if re.search(r"[^\W\d_]{2}", text) and _fits(text, message)]
    return max(fitting, key=len, default=None)


def _fits(text: str, message: str) -> bool:
    pattern = ".*".join(re.escape(part.replace("\0", "%")) for part in text.replace("%%", "\0").split("%"))
    return re.fullmatch(pattern, message, re.DOTALL) is not None


def _own(diagnostic: Diagnostic) -> str:
    state = diagnostic.sqlstate or ""
    if state == "" or state.startswith(("00", "01")) or diagnostic.severity_nonlocalized == "NOTICE":
        said = "a message that may hold rows"
    else:
        said = (
            _cut(diagnostic) or SAYS.get(state) or condition(state).replace("_", " ") or "an error that may hold rows"
        )
    return said + "".join(f", {name}" for name in _named(diagnostic))


def _cut(diagnostic: Diagnostic) -> str | None:
    if diagnostic.source_file not in templates.CUT_FILES:
        return None
    for states, template, rest in templates.CUT:
        found = template.fullmatch(diagnostic.message_primary or "") if diagnostic.sqlstate in states else None
        if found:
            return found.expand(rest)
    return None


def _named(diagnostic: Diagnostic) -> Iterator[str]:
    if not _is_of_the_server(diagnostic):
        return  # RAISE ... USING TABLE takes any text, and so do the other languages
    schema = f"{diagnostic.schema_name}." if diagnostic.schema_name else ""
    for kind, name in (
        ("table", diagnostic.table_name),
        ("column", diagnostic.column_name),
        ("type", diagnostic.datatype_name),
        ("constraint", diagnostic.constraint_name),
    ):
        if name:
            yield f"{kind} {schema if kind in ('table', 'type') else ''}{name}"


def _is_of_the_server(diagnostic: Diagnostic) -> bool:
    raised = diagnostic.source_function in templates.NO_TEXT_OF_ITS_OWN
    return diagnostic.source_file in templates.KNOWN and not raised


def _columns(diagnostic: Diagnostic) -> str:
    """Of a key that rows share or lack."""
    if diagnostic.sqlstate not in templates.VIOLATIONS.get(diagnostic.source_file or "", ()):
        return ""
    found = _KEY.search(diagnostic.message_detail or "")
    return found[1] if found else ""


def _all_of(diagnostic: Diagnostic) -> Iterator[str]:
    for name in (
        *("sqlstate", "message_primary", "message_detail", "message_hint", "context", "internal_query"),
        *NAMES,
    ):
        value = getattr(diagnostic, name)
        if value:
            yield f"{LABELS.get(name, name).upper()}: {value}"
