"""ALTER DOMAIN: a constraint is checked in every table that has a column of the domain, under SHARE.

AlterDomainAddConstraint, AlterDomainNotNull and validateDomainCheckConstraint in src/backend/commands/typecmds.c.
"""

from __future__ import annotations

from migrator.analysis.effects.model import Recorder
from migrator.analysis.effects.world import World
from migrator.facts.facts import DomainFacts
from migrator.lock_modes import S as SHARE
from migrator.parsing.nodes import Node, enum, strings


def alter_domain(stmt: Node, world: World, out: Recorder) -> None:
    parts = strings(stmt.type_name)
    domain = world.domain(parts)
    name = ".".join(parts)
    if domain is None:
        if world.facts is not None and world.facts.complete and not world.is_new_type(parts):
            out.fail("42704", f'type "{name}" does not exist')
        elif world.facts is None:
            _unknown_users(stmt, name, out)
        return
    handler = {"C": _add, "V": _validate, "O": _set_not_null, "X": _drop}.get(stmt.subtype)
    if handler is not None:
        handler(stmt, domain, world, out)


def _unknown_users(stmt: Node, name: str, out: Recorder) -> None:
    reads = stmt.subtype in ("V", "O") or (stmt.subtype == "C" and not getattr(stmt, "def").constraint.skip_validation)
    if reads:
        out.known = False
        out.assume(f"every table with a column of {name} is locked SHARE and read; which these are needs a connection")


def _add(stmt: Node, domain: DomainFacts, world: World, out: Recorder) -> None:
    constraint = getattr(stmt, "def").constraint
    kind = enum(constraint, "contype")
    if kind == "CONSTR_NOTNULL":
        if world.major < 17:
            out.fail("42601", "ALTER DOMAIN ... ADD NOT NULL needs PostgreSQL 17 or later")
        if domain.not_null:
            return
        _read(domain, "23502", world, out)
        return
    if any(item.name == constraint.conname for item in domain.constraints if constraint.conname):
        out.fail("42710", f'constraint "{constraint.conname}" for the domain already exists')
    if not constraint.skip_validation:
        _read(domain, "23514", world, out)


def _validate(stmt: Node, domain: DomainFacts, world: World, out: Recorder) -> None:
    known = next((item for item in domain.constraints if item.name == stmt.name), None)
    if known is None:
        out.fail("42704", f'constraint "{stmt.name}" of the domain does not exist')
    elif known.kind != "c":
        out.fail("42809", f'constraint "{stmt.name}" of the domain is not a check constraint')
    else:  # read again even when it is valid
        _read(domain, "23514", world, out)


def _set_not_null(stmt: Node, domain: DomainFacts, world: World, out: Recorder) -> None:
    if not domain.not_null:
        _read(domain, "23502", world, out)


def _drop(stmt: Node, domain: DomainFacts, world: World, out: Recorder) -> None:
    if not stmt.missing_ok and all(item.name != stmt.name for item in domain.constraints):
        out.fail("42704", f'constraint "{stmt.name}" of the domain does not exist')


def _read(domain: DomainFacts, sqlstate: str, world: World, out: Recorder) -> None:
    if domain.contained:
        out.fail("0A000", "cannot alter the domain because a column has it inside of an array, range or composite type")
    for name in domain.tables:
        out.lock(name, SHARE)
        out.scan(name)
        out.risk(sqlstate, f"a value in {name} does not satisfy the domain")
