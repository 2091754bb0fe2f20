"""What `migrator analyze` asks of the target's server: a session for the catalog, and one that parses."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from migrator.facts import CatalogFacts
    from migrator.plan import Finding
    from migrator.rules.model import Script
    from migrator.session import Connection, Endpoint
    from migrator.statements import ParsedFile


class Server:
    """Without an endpoint it knows nothing. Sessions are opened when they are first needed.

    :param schema: where unqualified names are looked up, instead of the target's search path.
    :param validate: whether `findings` asks at all.
    """

    def __init__(self, endpoint: Endpoint | None, *, schema: str | None, validate: bool) -> None:
        self._endpoint = replace(endpoint, search_path=schema) if endpoint and schema else endpoint
        self._validate = validate
        self._sessions: dict[str, Connection] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def facts(self, files: Sequence[ParsedFile]) -> CatalogFacts | None:
        """What the catalog says about everything that these files name."""
        if self._endpoint is None:
            return None
        from migrator.facts_query import collect_facts

        return collect_facts(self._session(self._endpoint, "observe"), files, role=self._endpoint.role)

    def findings(self, scripts: Sequence[Script]) -> tuple[Finding, ...]:
        """What the server refuses of them."""
        if self._endpoint is None or not self._validate:
            return ()
        from migrator.server_check import server_findings
        from migrator.translate import translated

        with translated():
            return tuple(server_findings(self._session(self._endpoint, "validate"), scripts))

    def _session(self, endpoint: Endpoint, purpose: str) -> Connection:
        from migrator.session import connect

        if purpose not in self._sessions:
            self._sessions[purpose] = self._stack.enter_context(connect(endpoint, purpose=purpose))
        return self._sessions[purpose]
