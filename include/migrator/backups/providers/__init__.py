"""The backup providers, one a file, and the list of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from migrator.backups.providers import pg_dump
from migrator.database.session import Endpoint
from migrator.embedded.programs import Programs
from migrator.errors import UsageError


class Provider(Protocol):
    """A module of this package."""

    NAME: str

    def choose_compression(self, wanted: str, programs: Programs) -> str: ...

    def dump(
        self,
        endpoint: Endpoint,
        folder: Path,
        *,
        programs: Programs,
        snapshot: str,
        jobs: int,
        compression: str,
        while_waiting: Callable[[], None],
    ) -> float: ...

    def restore(
        self, endpoint: Endpoint, folder: Path, *, programs: Programs, jobs: int, privileges: bool
    ) -> tuple[float, tuple[str, ...]]: ...


PROVIDERS: tuple[Provider, ...] = (pg_dump,)


def find(name: str) -> Provider:
    for provider in PROVIDERS:
        if name == provider.NAME:
            return provider
    raise UsageError(f"there is no backup provider {name!r}; there is: {', '.join(one.NAME for one in PROVIDERS)}")
