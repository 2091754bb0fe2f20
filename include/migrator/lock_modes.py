"""The eight table-level lock modes of PostgreSQL, and which of them wait for which."""

from __future__ import annotations

# The eight table-level modes, weakest first: https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
MODES = (
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)


AS, RS, RX, SUX, S, SRX, X, AX = MODES


_CONFLICTS = {
    AS: {AX},
    RS: {X, AX},
    RX: {S, SRX, X, AX},
    SUX: {SUX, S, SRX, X, AX},
    S: {RX, SUX, SRX, X, AX},
    SRX: {RX, SUX, S, SRX, X, AX},
    X: {RS, RX, SUX, S, SRX, X, AX},
    AX: set(MODES),
}


def conflicts(mode: str, other: str) -> bool:
    return other in _CONFLICTS[mode]


def strength(mode: str) -> int:
    return MODES.index(mode)


def blocks_reads(mode: str) -> bool:
    return conflicts(mode, AS)


def blocks_writes(mode: str) -> bool:
    return conflicts(mode, RX)
