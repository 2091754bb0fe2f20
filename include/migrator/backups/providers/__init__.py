"""The backup providers, one a file, and the list of them."""

from __future__ import annotations

from migrator.backups.contract import Provider
from migrator.backups.providers import pg_dump
from migrator.errors import UsageError

PROVIDERS: tuple[Provider, ...] = (pg_dump,)


def find(name: str) -> Provider:
    for provider in PROVIDERS:
        if name == provider.NAME:
            return provider
    raise UsageError(f"there is no backup provider {name!r}; there is: {', '.join(one.NAME for one in PROVIDERS)}")
