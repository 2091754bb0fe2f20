"""What a migration mentions by running it: DO blocks, functions that it calls, and triggers that its changes fire."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migrator.facts.facts import CatalogFacts, RuleFacts
from migrator.facts.names import Mentioned
from migrator.parsing.nodes import Node, commands, content, enum, find, name_of, strings
from migrator.parsing.routines import body_of, contents_of, own_settings
from migrator.parsing.routines.declared import declared, table_of
from migrator.parsing.statements import ParsedStatement, parse

MAX_ROUNDS = 4
"""Functions that call functions: so often the catalog is asked again."""
_WRITES_BACK = frozenset("cnd")
"""ON DELETE and ON UPDATE: CASCADE, SET NULL, SET DEFAULT (pg_constraint.confdeltype, confupdtype)."""
_VALIDATES = "AT_ValidateConstraint"
_CHANGES = frozenset(["insert_stmt", "update_stmt", "delete_stmt", "merge_stmt", "copy_stmt"])


class Running:
    """Names that the statements mention, and those in what they run."""

    def __init__(self) -> None:
        self.mentioned = Mentioned()
        self._changed: set[str] = set()
        """Bare names of tables whose rows are changed."""
        self._models: set[str] = set()
        """Bare names of tables that another takes defaults and constraints over from."""
        self._validated: set[tuple[str, str]] = set()
        """Bare names of tables and of constraints that are checked for all rows."""
        self._read: set[str] = set()
        """Definitions of functions, rules and constraints that were looked into."""
        self._rounds = 0

    def add(self, statement: ParsedStatement) -> None:
        self._node(statement.node)
        self._inside(statement)

    def follow(self, facts: CatalogFacts) -> bool:
        """Whether the functions that the catalog knows mention more, so that it must be asked again."""
        self._rounds += 1
        if self._rounds > MAX_ROUNDS:
            return False
        asked, more = (set(self.mentioned.functions), set(self.mentioned.types)), False
        self.mentioned.functions |= facts.row_functions & self.mentioned.fields
        self.mentioned.functions |= {one.function[1] for group in facts.operators.values() for one in group}
        self.mentioned.functions |= {name for one in facts.relations.values() for _, name in one.calls}
        self.mentioned.functions |= {one.function[1] for one in facts.casts}
        self.mentioned.functions |= {
            name for group in facts.functions.values() for one in group for _, name in one.parts
        }
        self.mentioned.types |= {part.rpartition(".")[2] for one in facts.types.values() for part in one.parts}
        self._along(facts)
        for name in facts.relations if self._changed else ():
            if name.rpartition(".")[2] in self._changed:
                relation = facts.relations[name]
                self.mentioned.functions.update(item.function.rpartition(".")[2] for item in relation.triggers)
                more = self._rules(relation.rules) or more
        self._checks(facts)
        unread = {item.body for group in facts.functions.values() for item in group if item.body} - self._read
        for definition in unread:
            self._read.add(definition)
            for statement in parse(definition, file="catalog").statements:
                for clause in own_settings(statement):
                    self.mentioned.add(clause)
                self._inside(statement)
        return bool(unread) or more or (self.mentioned.functions, self.mentioned.types) != asked

    def _checks(self, facts: CatalogFacts) -> None:
        """What domains, and constraints that are validated, call."""
        unread = {item.definition for domain in facts.domains.values() for item in domain.constraints}
        for table, name in self._validated:
            known = (one for key, one in facts.relations.items() if key.rpartition(".")[2] == table)
            unread |= {item.definition for one in known for item in one.constraints if item.name == name}
        unread = {text for text in unread if text.startswith("CHECK ")} - self._read
        for definition in unread:
            self._read.add(definition)
            for statement in parse(f"ALTER TABLE checked ADD {definition}", file="catalog").statements:
                self.mentioned.add(statement.tree.cmds[0])
        texts = {domain.default for domain in facts.domains.values() if domain.default}
        for name, one in facts.relations.items() if self._models else ():
            if name.rpartition(".")[2] in self._models:
                self.mentioned.functions.update(item.function.rpartition(".")[2] for item in one.triggers)
                texts |= {column.default for column in one.columns.values() if column.default}
                texts |= {c.definition.removeprefix("CHECK ") for c in one.constraints if c.kind == "c"}
        for text in texts - self._read:
            self._read.add(text)
            for statement in parse(f"SELECT {text.removesuffix(' NOT VALID')}", file="catalog").statements:
                self.mentioned.add(statement.node)

    def _along(self, facts: CatalogFacts) -> None:
        """Tables whose rows change with these: through a view, or because a foreign key says so."""
        before = None
        while self._changed and before != len(self._changed):
            before = len(self._changed)
            for name, relation in facts.relations.items():
                bare = name.rpartition(".")[2]
                if relation.kind == "v" and bare in self._changed:
                    self._changed.update(read.rpartition(".")[2] for read in relation.reads)
                for item in relation.constraints:
                    referenced = (item.referenced or "").rpartition(".")[2]
                    if (
                        item.kind == "f"
                        and referenced in self._changed
                        and _WRITES_BACK & {item.on_delete, item.on_update}
                    ):
                        self._changed.add(bare)

    def _rules(self, rules: Iterable[RuleFacts]) -> bool:
        """What CREATE RULE makes of a change runs as well."""
        unread = {rule.definition for rule in rules} - self._read
        for definition in unread:
            self._read.add(definition)
            for statement in parse(definition, file="catalog").statements:
                self.mentioned.add(statement.node)
                for action in statement.tree.actions:
                    self._node(action)
        return bool(unread)

    def _inside(self, statement: ParsedStatement) -> None:
        """A body. A type in it may be that of a table's rows."""
        for node in nodes_inside(statement):
            self._node(node)
            self._rows_of(node)
        body = body_of(statement)
        for text in declared(body.text) if body is not None and body.language == "plpgsql" else ():
            for item in parse(f"SELECT NULL::{table_of(text) or text}", file="body").statements:
                self._node(item.node)
                self._rows_of(item.node)

    def _rows_of(self, node: Node) -> None:
        for parts in (strings(item.names) for item in find(node, "TypeName")):
            if len(parts) == 1:
                self.mentioned.relation(parts)

    def _node(self, node: Node) -> None:
        self.mentioned.add(node)
        if name_of(node) == "alter_table_stmt":
            validated = (one.name for one in commands(node.alter_table_stmt) if enum(one, "subtype") == _VALIDATES)
            self._validated.update((node.alter_table_stmt.relation.relname, name) for name in validated)
        if name_of(node) == "create_stmt":
            self._models.update(item.range_var.relname for item in node.create_stmt.inh_relations)
            self._models.update(item.relation.relname for item in find(node, "TableLikeClause"))
        if name_of(node) in _CHANGES and content(node).HasField("relation"):
            self._changed.add(content(node).relation.relname)
        elif name_of(node) == "truncate_stmt":
            self._changed.update(item.range_var.relname for item in content(node).relations)


def nodes_inside(statement: ParsedStatement) -> Iterator[Node]:
    """The statements in the body of a DO block, function or procedure."""
    body = body_of(statement)
    for piece in contents_of(body).pieces if body is not None else ():
        for item in parse(piece.sql, file="body").statements:
            yield item.node
