"""Every node of a file's parse trees with where it stands, collected once: in statements, in the statements inside of
them, in bodies that run now or later, and in the texts that become SQL at run time, as far as they are known.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from migrator.analysis.effects import World
from migrator.analysis.effects.types.builtin_functions import AGGREGATES, STEADY, VOLATILE
from migrator.analysis.walk.script import Script
from migrator.frozen import frozen
from migrator.parsing import lexer
from migrator.parsing.nodes import Node, find, flag, name_of, strings
from migrator.parsing.routines import Body, Draft, body_of, constant, contents_of, draft_of
from migrator.parsing.routines.drafts import MARK
from migrator.parsing.running_functions import RUN_TEXTS
from migrator.parsing.statements import ParsedStatement, parse

UNREAD = "unread"
"""Kind of a spot that is a text of which something is known, and not all: `node` is it, with marks for the rest."""
OPEN = "open"
"""The same of a text that is put together, where some of it can be anything."""
MAX_DEPTH = 24
"""Bodies in texts in bodies; what lies deeper is a text."""
_SQL = re.compile(
    r"(?:\s|/\*.*?\*/|--[^\n]*\n|\()*(?:alter|call|copy|create|delete|discard|do|drop|execute|explain|grant|insert|load|"
    r"merge|prepare|reassign|reset|revoke|select|set|table|truncate|update|values|with)\b(?=.*[\s;(\"$/])",
    re.IGNORECASE | re.DOTALL,
)
"""How a text begins that may be SQL."""
_LISTS = ("a_array_expr", "row_expr", "case_expr", "list")


@frozen
class Around:
    """What all nodes of one statement have in common."""

    script: Script
    statement: ParsedStatement
    """It, at its place in the file."""
    index: int
    """The file's statement that it belongs to."""
    world: World
    """What is known before that one runs."""
    within: tuple[str, ...] = ()
    """What it stands in, the outermost first: "the body of f()", "a text for query_to_xml()"."""
    routine: bool = False
    """It is a part of a body that is written down, and runs when somebody calls it."""
    definer: bool = False
    """That runs with the rights of its owner."""
    making: bool = False
    """It is an expression that makes a text, which then is run."""


@dataclass(frozen=True, slots=True)  # not `frozen`: there is one for each node that a rule asks for
class Spot:
    node: Any
    kind: str
    """The message's type, "FuncCall"; or UNREAD, OPEN."""
    around: Around

    @property
    def world(self) -> World:
        return self.around.world


def spots_of(script: Script, wanted: Collection[str]) -> Iterator[Spot]:
    """Those of the `wanted` types, in the order of the file; then those of bodies that are the catalog's."""
    reader = _Reader(script, tuple({*wanted, "FuncCall", "CreateTrigStmt"}))
    for subject in script.subjects:
        yield from reader.statement(Around(script, subject.statement, subject.statement.index, subject.world))
    seen = set()
    for called in script.called:
        if (called.body, called.caller.index) not in seen:
            seen.add((called.body, called.caller.index))
            yield from reader.body(called.body, Around(script, called.caller, called.caller.index, called.world))


@frozen
class _Reader:
    script: Script
    kinds: tuple[str, ...]

    def statement(self, around: Around) -> Iterator[Spot]:
        elsewhere = ""
        for node in find(around.statement.node, *self.kinds):
            kind = type(node).__name__
            yield Spot(node, kind, around)
            if kind in ("FuncCall", "CreateTrigStmt"):
                yield from self._arguments(strings(node.funcname)[-1], node.args, around)
            if kind == "FuncCall" and not elsewhere and _runs_texts(node):
                elsewhere = f"a text for {strings(node.funcname)[-1]}()"
        if elsewhere:
            yield from self._constants(around.statement.node, replace(around, within=(*around.within, elsewhere)))
        if around.statement.name in ("do_stmt", "create_function_stmt"):
            body = body_of(around.statement)
            if body is not None and not body.standard:  # else it is a part of the tree
                yield from self.body(body, around)

    def body(self, body: Body, around: Around) -> Iterator[Spot]:
        contents, inside = contents_of(body), _inside(body, around)
        if len(inside.within) > MAX_DEPTH:
            yield Spot(body.text, UNREAD, inside)
            return
        for piece in contents.pieces:
            yield from self._text(piece.sql, self._placed(inside, body, piece.offset))
        for draft in contents.drafts:
            yield from self._draft(draft, self._placed(inside, body, draft.offset))
        if contents.drafts:
            yield from self._strings(body, contents.drafts, inside)
        elif not contents.pieces and (contents.gaps or contents.faults):
            # another language, or a body that nobody could read
            yield Spot(_without_comments(body.text), UNREAD, inside)

    def _placed(self, around: Around, body: Body, offset: int) -> Around:
        """Within a text only the place of the text is certain."""
        if body.elsewhere or any(part.startswith("a text") for part in around.within):
            return around
        line, column = self.script.parsed.lines.place(min(offset, len(self.script.parsed.text)))
        return replace(around, statement=replace(around.statement, line=line, column=column, start=offset))

    def _text(self, sql: str, around: Around) -> Iterator[Spot]:
        """A text that is SQL for certain; what of it does not parse is told as it is."""
        parsed = parse(sql, file="")
        for item in parsed.statements:
            place = around.statement
            start = place.start + item.start
            yield from self.statement(
                replace(around, statement=replace(item, line=place.line, column=place.column, start=start))
            )
        if parsed.problems:
            yield Spot(sql, UNREAD, around)

    def _draft(self, draft: Draft, around: Around) -> Iterator[Spot]:
        yield from self._text(f"SELECT {draft.query}", replace(around, making=True))
        around = replace(around, within=(*around.within, "a text that it puts together"))
        if draft.open:
            yield Spot(draft.shown, OPEN, around)
        yield from self._maybe(draft, around)

    def _maybe(self, draft: Draft, around: Around) -> Iterator[Spot]:
        """The first reading that is SQL."""
        if len(around.within) > MAX_DEPTH or not _SQL.match(draft.shown):
            return
        for text in draft.readings:
            parsed = parse(text, file="")
            if parsed.statements and not parsed.problems:
                yield from self._text(text, around)
                return

    def _strings(self, body: Body, drafts: tuple[Draft, ...], around: Around) -> Iterator[Spot]:
        """Texts of a body that runs some text: a variable may bring them there, and add to them. What a draft has in it
        is a part."""
        around = replace(around, within=(*around.within, "a text of it"))
        for token in lexer.tokens(body.text):
            if token.kind == "string":
                value = constant(token.text, {})
                if value and _SQL.match(value) and not any(value in draft.shown for draft in drafts):
                    yield from self._maybe(Draft((value,), 0), around)
                    yield Spot(f"{value}{MARK}", UNREAD, around)

    def _arguments(self, name: str, arguments: Sequence[Node], around: Around) -> Iterator[Spot]:
        """Texts that a function gets, and may run: query_to_xml(), ts_stat(), crosstab(), dblink_exec()."""
        inside = None
        for argument in arguments:
            kind = name_of(argument)
            if kind == "column_ref" or (kind == "a_const" and not _SQL.match(argument.a_const.sval.sval)):
                continue
            inside = inside or replace(around, within=(*around.within, f"a text for {name}()"))
            if kind == "string":  # of a trigger
                yield from self._constant(argument.string.sval, inside)
            elif kind in _LISTS:
                yield from self._constants(argument, inside)
            else:
                yield from self._maybe(Draft(draft_of(argument, {}), 0), inside)

    def _constants(self, node: Node, around: Around) -> Iterator[Spot]:
        for found in find(node, "A_Const"):
            yield from self._constant(found.sval.sval, around)

    def _constant(self, text: str, around: Around) -> Iterator[Spot]:
        if _SQL.match(text):
            yield from self._maybe(Draft((text,), 0), around)


def _runs_texts(call: Node) -> bool:
    """Whether it may run a text that stands in a column: of the built-in functions only some do."""
    name = strings(call.funcname)[-1]
    known = name in STEADY or name in VOLATILE or name in AGGREGATES
    return (name in RUN_TEXTS or not known) and any(name_of(item) == "column_ref" for item in call.args)


def _inside(body: Body, around: Around) -> Around:
    if body.statement.name == "do_stmt":
        return replace(around, within=(*around.within, "a DO block"))
    tree = body.statement.tree
    within = f"the body of {'.'.join(strings(tree.funcname))}()"
    definer = flag(tree.options, "security", False)
    return replace(around, within=(*around.within, within), routine=not body.elsewhere, definer=definer)


def _without_comments(text: str) -> str:
    return "".join(token.text for token in lexer.tokens(text) if token.kind != "comment")
