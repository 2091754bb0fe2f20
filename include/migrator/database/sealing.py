"""What only who knows a connection's password can write and check: neither who may edit files and XCom, nor any SQL in
the database itself, which sees no more of the password than what the server keeps to compare it with."""

from __future__ import annotations

import functools
import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from migrator.database.session import Endpoint

ROUNDS = 20_000
"""Who reads a seal may try passwords on it: five times as costly as on what the server keeps (scram_iterations)."""


def key_of(endpoint: Endpoint, purpose: str) -> bytes | None:
    """None: the connection has neither a secret for it nor a password, but a certificate or the like."""
    from psycopg.conninfo import conninfo_to_dict

    endpoint.require_clear()
    secret = endpoint.seal_secret or conninfo_to_dict(endpoint.conninfo).get("password")
    return _key(str(secret), purpose) if secret else None


@functools.lru_cache(maxsize=32)
def _key(secret: str, purpose: str) -> bytes:
    return hashlib.pbkdf2_hmac(
        "sha256", secret.encode(errors="surrogateescape"), f"migrator {purpose}".encode(), ROUNDS
    )


def seal(key: bytes, *parts: str) -> str:
    what = "\0".join(parts)
    return hmac.new(key, what.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()


def holds(given: object, key: bytes, *parts: str) -> bool:
    """As bytes: compare_digest() takes no other text than ASCII, and this one may be anybody's."""
    return hmac.compare_digest(str(given).encode(errors="surrogatepass"), seal(key, *parts).encode())
