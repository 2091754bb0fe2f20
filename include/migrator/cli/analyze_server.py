"""What `migrator analyze` asks of the target's server: a session for the catalog, and one that parses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from migrator.analysis.estimate import Basis
    from migrator.analysis.walk.pending import Before
    from migrator.analysis.walk.script import Script
    from migrator.database.session import Connection, Endpoint
    from migrator.facts.facts import CatalogFacts
    from migrator.history.past import Past
    from migrator.ledger.rows import LedgerMigration
    from migrator.parsing.statements import ParsedFile
    from migrator.plan import Finding, Suggestion


class Server:
    """Without an endpoint it knows nothing. Sessions are opened when they are first needed.

    :param schema: where unqualified names are looked up, instead of the target's search path.
    :param validate: whether `findings` asks at all.
    :param check_data: whether `findings` looks for rows that would make a statement fail.
    :param calibrate_on: the server on which the cost of work is measured; None takes the default costs.
    """

    def __init__(
        self,
        endpoint: Endpoint | None,
        *,
        schema: str | None,
        validate: bool,
        check_data: bool = False,
        calibrate_on: Endpoint | None = None,
    ) -> None:
        self._endpoint = replace(endpoint, search_path=schema) if endpoint and schema else endpoint
        self._validate = validate
        self._check_data = check_data
        self._calibrate_on = calibrate_on
        self._sessions: dict[str, Connection] = {}
        self._asked = False
        self._rows: Mapping[str, LedgerMigration] | None = None
        self._pasts: dict[Path, Past | None] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def major(self) -> int | None:
        """Version of the server; None without one."""
        if self._endpoint is None:
            return None
        return self._session(self._endpoint, "observe").info.server_version // 10_000

    def look(
        self, files: Sequence[ParsedFile], others: Sequence[ParsedFile] = ()
    ) -> tuple[CatalogFacts | None, Basis | None]:
        """What the catalog says about everything that these files name, and what their estimates rest on. `others`:
        files of earlier migrations."""
        if self._endpoint is None:
            return None, None
        from migrator.analysis.estimate.ask import look
        from migrator.analysis.estimate.calibrate import calibrated
        from migrator.run import system_clock

        measured = calibrated(self._calibrate_on, clock=system_clock) if self._calibrate_on else None
        conn = self._session(self._endpoint, "observe")
        return look(conn, files, role=self._endpoint.role, measured=measured, others=others)

    def past(self, root: Path) -> Past | None:
        """The catalogue in this folder, with what the target's ledger says of it; None when nobody knows."""
        from migrator.catalogue.catalogue import load_catalogue
        from migrator.history.past import Past, past_of, rows_of

        if self._endpoint is None:
            return past_of(root)
        if not self._asked:
            self._rows, self._asked = rows_of(self._endpoint), True
        if root not in self._pasts:
            self._pasts[root] = None if self._rows is None else Past(load_catalogue(root), self._rows)
        return self._pasts[root]

    def findings(self, scripts: Sequence[Script], before: Before) -> tuple[Finding, ...]:
        """What the server refuses of them, and the rows that they would fail on."""
        if self._endpoint is None:
            return ()
        found: list[Finding] = []
        if self._validate:
            from migrator.analysis.server_check import server_findings
            from migrator.database.translate import translated

            with translated():
                found += server_findings(self._session(self._endpoint, "validate"), scripts, before=before.files)
        if self._check_data:
            from migrator.analysis.data_checks import findings_of

            conn = self._session(self._endpoint, "observe")
            found += [finding for script in scripts for finding in findings_of(conn, script.parsed)]
        return tuple(found)

    def refused(self, steps: Sequence[Suggestion]) -> str | None:
        """Why batches would not do what their statement does, as far as the catalog tells."""
        from migrator.steps.batch_readings import BACKFILL, refused

        if self._endpoint is None:
            return None
        texts = [step.sql for step in steps if step.kind == BACKFILL and step.sql]
        found = [refused(self._session(self._endpoint, "observe"), text) for text in texts]
        return next((text for text in found if text is not None), None)

    def _session(self, endpoint: Endpoint, purpose: str) -> Connection:
        from migrator.database.session import connect

        if purpose not in self._sessions:
            self._sessions[purpose] = self._stack.enter_context(connect(endpoint, purpose=purpose))
        return self._sessions[purpose]
