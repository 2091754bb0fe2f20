"""What may be told of a schema that SQL has made at run time: words that somebody had written before.

A migration may put rows of production into names, comments, defaults, checks, views and labels: EXECUTE makes the text.
Evidence, card and logs show the schema that comes of it to people who may not read those rows. So of a difference
between schemas only those names and texts are told whose every word stands in the migration's own files, which are in
git, or in the schema from before; a server's own words are known, too. The others are told as `…`.

What an author chooses among known words (one of two names, by a row) is told: no vocabulary can keep that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from migrator import documents
from migrator.database import withheld
from migrator.database.keywords import KEYWORDS
from migrator.database.schema import Schema
from migrator.database.schema_diff import Change, SchemaDiff
from migrator.database.told import HIDDEN, are_names_known, is_known, names_known
from migrator.evidence import StatementTrace
from migrator.plan import Plan

MARK = f"{HIDDEN} names and texts with words that neither the migration's files nor the schema before has are withheld"
"""The last line of a difference that has some."""
_WORD = re.compile(r"[^\W_]+|[^\x00-\x7f\w\s]+|[^\w\s'\"]{3,}")
"""What is no letter and no digit can have a row as well: beyond ASCII, or where there are several together."""
_UNIT = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?(?![^\x00-\x7f]|\w)|(?:\w|[^\x00-\x7f\s])+"
)
"""A text, a quoted name, a number, or a bare word. Wherever a definition is cut wrongly, each of its words is looked up
still."""
_NUMBERED = re.compile(r"(?:key|pkey|fkey|check|idx|seq|excl|null|ccnew|ccold)[0-9]{1,2}")
"""The next free name, as ChooseRelationName makes it (src/backend/commands/indexcmds.c)."""
_LONG = 60
"""Bytes of a name whose parts makeObjectName may have cut, to fit them into NAMEDATALEN (the same file)."""
_ESCAPE = re.compile(r"\\.")
"""`E'one\\ntwo'` has two words."""
_OWN_TEXT = """
int2 int4 int8 float4 float8 bool bpchar varchar text bytea name oid date time timetz timestamp timestamptz interval
numeric decimal money uuid json jsonb jsonpath xml inet cidr macaddr macaddr8 bit varbit point line lseg box path
polygon circle tsvector tsquery regclass regtype regproc regprocedure regoper regoperator regrole regnamespace
regconfig regdictionary regcollation int4range int8range numrange tsrange tstzrange daterange multirange
int4multirange int8multirange nummultirange tsmultirange tstzmultirange datemultirange record void trigger cstring
anyelement anyarray double precision character varying without with zone public pg catalog btree hash gist gin
spgist brin heap plpgsql sql c internal function now nextval currval setval timezone date part trunc substr ltrim rtrim
btrim lower upper like escape similar to true false t f md5 composite domain enum base populated clustered disabled
replica always invalid unlogged none owner key pkey fkey check idx seq excl not null start increment min max cache
cycle 0 1 2 100 1000 32767 32768 2147483647 2147483648 9223372036854775807 9223372036854775808
enabled forced partitioned permissive restrictive plain extended main pglz lz4 toast nondeterministic attached via root
canonical diff combinefunc finalfunc initcond sfunc sortop stype tag ctype locale provider rules publications setting
inherited pending subtype opclass sspace modify extra serialfunc deserialfunc msfunc minvfunc mstype msspace mfinalfunc
minitcond hypothetical ordered used member r w ccnew ccold
"""
_PROGRAMS_TEXT = """
psql pgadmin 4 db conn pg dump restore basebackup receivewal pgbench vacuumdb reindexdb walreceiver dbeaver datagrip
jdbc driver postgresql pgbouncer pgjdbc npgsql cron migration snapshot lock apply rollback observe validate ledger
janitor
"""
PROGRAMS = frozenset(_PROGRAMS_TEXT.split())
"""Words of what sessions call themselves by, without anybody having chosen it."""
_OWN = KEYWORDS | frozenset((*_OWN_TEXT.split(), HIDDEN))
"""Of `schema.sql` and the server: types, ways of access, functions that stand for syntax, the ends of names that it
makes, the limits of sequences, and what functions cost and give unless somebody says otherwise."""


@dataclass(frozen=True)
class Vocabulary:
    words: frozenset[str]
    """In lower case."""

    def knows(self, name: str) -> bool:
        """Whether each word of a name was written by somebody, or is a server's own."""
        return self._knows(name)

    def tell(self, text: str) -> str:
        """`text` with `…` for each name or text that has a word which nobody has written."""
        return _told(text, self._knows)

    def told(self, changes: SchemaDiff) -> SchemaDiff:
        return SchemaDiff(tuple(self._change(change) for change in changes.changes))

    def lines(self, changes: SchemaDiff) -> tuple[str, ...]:
        """As `SchemaDiff.lines`, with a last line that says so when something is withheld."""
        lines = self.told(changes).lines()
        return (*lines, MARK) if lines != changes.lines() else lines

    def lines_and_rest(self, changes: SchemaDiff, place: str) -> tuple[str, ...]:
        """The same, and the whole lines are put where the run keeps what may hold rows."""
        told, whole = self.lines(changes), changes.lines()
        if told != whole:
            withheld.keep(f"{place}:\n" + "\n".join(whole))
        return told

    def named_and_rest(self, changes: SchemaDiff, place: str) -> tuple[str, ...]:
        """The same of what others have changed, with the names of the objects: whoever looks for them needs those."""
        named = SchemaDiff(
            tuple(
                replace(told, name=change.name, part_of=change.part_of)
                for told, change in zip(self.told(changes).changes, changes.changes, strict=True)
            )
        )
        told, whole = named.lines(), changes.lines()
        if told == whole:
            return told
        withheld.keep(f"{place}:\n" + "\n".join(whole))
        return (*told, MARK)

    def trace(self, trace: StatementTrace) -> StatementTrace:
        """The relations that a statement touched, each by a name that may be told."""
        names = {*(lock.relation for lock in trace.locks), *trace.rewrites, *trace.scans, *trace.indexes_rebuilt}
        hidden = {name: self.tell(name) for name in names | {*trace.writes} if self.tell(name) != name}
        if not hidden:
            return trace

        def told(texts: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(hidden.get(text, text) for text in texts)

        differences = trace.differences
        for name in sorted(hidden, key=len, reverse=True):
            differences = tuple(text.replace(name, hidden[name]) for text in differences)
        return replace(
            trace,
            locks=tuple(replace(lock, relation=hidden.get(lock.relation, lock.relation)) for lock in trace.locks),
            rewrites=told(trace.rewrites),
            scans=told(trace.scans),
            indexes_rebuilt=told(trace.indexes_rebuilt),
            writes=told(trace.writes),
            differences=differences,
        )

    def _change(self, change: Change) -> Change:
        before, after, part_of = (
            text if text is None else self.tell(text) for text in (change.before, change.after, change.part_of)
        )
        return Change(change.kind, self.tell(change.name), before, after, part_of)

    def _knows(self, text: str) -> bool:
        unknown = [word for word in _words(text) if word not in self.words and not _NUMBERED.fullmatch(word)]
        cut = len(text.strip('"').encode()) >= _LONG
        return all(cut and any(known.startswith(word) for known in self.words) for word in unknown)


def vocabulary(plan: Plan, before: Schema, *names: str) -> Vocabulary:
    """:param names: further ones that no row has made: the role that executes."""
    texts = (*written(plan, before), *names)
    return Vocabulary(_OWN.union(*(_words(_ESCAPE.sub(" ", text) + " " + text) for text in texts)))


def vocabulary_of(texts: Iterable[str]) -> Vocabulary:
    """Of those alone who have no plan and no schema from before: what others have written."""
    return Vocabulary(_OWN.union(*map(_words, texts)))


def written(plan: Plan, before: Schema) -> Iterator[str]:
    """The texts of the migration's files, and the names and definitions of the schema from before."""
    plans = (plan, *plan.ahead)
    steps = [step for one in plans for step in (*one.steps, *one.rollback_steps)]
    statements = [statement.sql for step in steps for statement in step.statements]
    params = [documents.to_dict(step.params) for step in steps]
    yield from _strings(
        (
            [documents.to_dict(one.files) for one in plans],
            statements,
            params,
            list(plan.assertions),
            documents.to_dict(plan.expected_changes),
            documents.to_dict(before.objects),
        )
    )


@contextmanager
def only_known(plan: Plan, before: Schema | None) -> Iterator[None]:
    """While the plan's texts are run nothing is told but by its vocabulary. Without a schema from before that has the
    words of its files alone, unless whoever calls has set another one."""
    if before is None and are_names_known():
        yield
        return
    with names_known(vocabulary(plan, before or Schema({})).knows):
        yield


def told_name(text: str) -> str:
    """A name out of a server's catalog, or another text of it, as a message may have it: while `only_known` lasts, with
    `…` for what nobody has written."""
    return _told(text, is_known)


def told_application(name: str | None) -> str | None:
    """The application_name of somebody's session, a text that SQL can set, as a trigger may to a row: None where one of
    its words is not known. Without a vocabulary it is told."""
    return name if name and (_is_program(name) or is_known(name)) else None


def told_program(name: str | None) -> str | None:
    """The same where there is no vocabulary, and everybody reads it: one that programs choose by themselves."""
    return told_application(name) if name and (are_names_known() or _is_program(name)) else None


def _is_program(name: str) -> bool:
    return bool(words := _words(name)) and words <= PROGRAMS


def _told(text: str, knows: Callable[[str], bool]) -> str:
    return _UNIT.sub(lambda found: found[0] if knows(found[0]) else _hidden(found[0]), text)


def _words(text: str) -> set[str]:
    return {word.casefold() for word in _WORD.findall(text)}


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _strings(key)
            yield from _strings(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _strings(inner)


def _hidden(text: str) -> str:
    quote = text[0] if text[0] in "'\"" else ""
    return f"{quote}{HIDDEN}{quote}"
