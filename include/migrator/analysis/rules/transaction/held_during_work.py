"""A strong lock that is held while a later statement of the transaction works for long."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule, severity_by_size, size_text
from migrator.analysis.walk.subject import Subject
from migrator.analysis.walk.transactions import Held
from migrator.lock_modes import blocks_reads, blocks_writes, strength
from migrator.parsing.build import later
from migrator.parsing.nodes import commands, enum, find, strings
from migrator.plan import Severity

SLEEPS = ("pg_sleep", "pg_sleep_for", "pg_sleep_until")


def check(subject: Subject) -> Iterator[Hit]:
    work = _work(subject) if subject.held else None
    if work is None:
        return
    held = [item for item in subject.held if blocks_writes(item.mode) and not _takes_itself(subject, item)]
    if not held:
        return
    doing, severity = work
    strongest = max(held, key=lambda item: strength(item.mode))
    locked = ", ".join(dict.fromkeys(item.relation for item in held))
    waits = "nobody can read or write" if blocks_reads(strongest.mode) else "nobody can write to"
    yield Hit(
        f"{doing} while the transaction holds {strongest.mode} since line {strongest.line}: {waits} {locked} until the"
        " transaction ends",
        severity=severity,
        alternative_sql=later(subject.statement.node) if subject.effects.known and not subject.nested else None,
    )


def _takes_itself(subject: Subject, held: Held) -> bool:
    """The statement would lock the relation that strongly by itself, so its own rule speaks of it."""
    mode = subject.effects.mode_on(held.relation)
    return mode is not None and strength(mode) >= strength(held.mode)


def _work(subject: Subject) -> tuple[str, Severity] | None:
    effects, kind = subject.effects, subject.statement.kind
    if _validates_what_it_added(subject):
        return None
    if effects.rewrites and subject.statement.name != "truncate_stmt":
        table = effects.rewrites[0]
        return f"{kind} rewrites {table}{size_text(subject, table)}", severity_by_size(subject, table)
    if effects.scans:
        table = max(effects.scans, key=lambda name: _rows(subject, name))
        if _finds_few(subject):
            return None
        return f"{kind} reads all of {table}{size_text(subject, table)}", severity_by_size(subject, table)
    if _sleeps(subject):
        return "the migration sleeps", Severity.WARNING
    if not effects.known and not subject.inner:
        return f"{kind} runs, and nobody knows for how long,", Severity.INFO
    return None


def _sleeps(subject: Subject) -> bool:
    statement = subject.statement
    if SLEEPS[0] not in statement.sql.lower():  # most statements need no look at their trees
        return False
    return any(strings(call.funcname)[-1] in SLEEPS for call in find(statement.node, "FuncCall"))


def _rows(subject: Subject, relation: str) -> int:
    facts = subject.world.relation(relation)
    return facts.rows if facts else 0


def _finds_few(subject: Subject) -> bool:
    """UPDATE and DELETE with WHERE may use an index: only without one do they surely read everything."""
    return subject.statement.name in ("update_stmt", "delete_stmt") and subject.statement.tree.HasField("where_clause")


def _validates_what_it_added(subject: Subject) -> bool:
    """That is a rule of its own: validate-in-same-transaction."""
    if "AT_ValidateConstraint" not in subject.statement.subtypes:
        return False
    table = subject.world.name(subject.statement.tree.relation)
    return any(
        enum(command, "subtype") == "AT_ValidateConstraint" and (table, command.name) in subject.world.not_valid
        for command in commands(subject.statement.tree)
    )


RULE = Rule(
    id="lock-held-during-work",
    severity=Severity.WARNING,
    condition="reading or writing whole tables, or sleeping, in a transaction that holds a lock that blocks writers",
    effect="the first lock is held until the transaction ends, so its table is blocked for the whole of the work",
    alternative="put the long work and what takes the strong lock into different migrations",
    without_sql="inside of a function or DO block, which is to be changed itself, and for work that is not known",
    source=DOCS + "explicit-locking.html#LOCKING-TABLES",
    aliases=("eugene:E4", "pgfence:statement-after-access-exclusive"),
    statement=check,
    in_rollback=True,
)
