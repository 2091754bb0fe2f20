"""Case 11: the application works on while a migration waits for a lock that others hold."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.acceptance.case import Case, Holder, wait_until
from tests.acceptance.specs import Files, scenario

LOCK_TIMEOUT_SECONDS = 2.0
TRAFFIC = """\
\\set contact random(1, 100)
SELECT count(*) FROM messages WHERE contact_id = :contact;
INSERT INTO messages (tenant_id, contact_id, direction, body)
    SELECT tenant_id, id, 'outbound', 'hello again' FROM contacts WHERE id = :contact;
"""
HELD_SECONDS = 12
WANTED = "SELECT 1 FROM pg_locks WHERE relation = 'messages'::regclass AND NOT granted"


class Pgbench:
    """Transactions of an application; afterwards `longest_seconds` says how long the slowest of them took."""

    def __init__(self, case: Case, directory: Path) -> None:
        self._directory = directory
        self._case = case
        (directory / "traffic.sql").write_text(TRAFFIC)

    @contextlib.contextmanager
    def running(self, *, seconds: int) -> Iterator[Pgbench]:
        """Traffic for so long; leaving the block waits for its end, because only then pgbench writes all it knows."""
        programs = self._case.laboratory.server(self._case).programs
        process = subprocess.Popen(
            [
                str(programs.path("pgbench")),
                *(
                    "-n",
                    "-c",
                    "4",
                    "-R",
                    "80",
                    "-T",
                    str(seconds),
                    "-f",
                    "traffic.sql",
                    "-l",
                    "--log-prefix",
                    "latency",
                ),
                self._case.laboratory.uri(self._case),
            ],
            cwd=self._directory,
            env=programs.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            yield self
            _, errors = process.communicate(timeout=seconds + 30)
            assert process.returncode == 0, errors.decode()
        finally:
            process.kill()
            process.communicate()

    def transactions(self) -> list[float]:
        """Seconds that each one took, counted from when the server got it."""
        found = []
        for log in self._directory.glob("latency*"):
            for line in log.read_text().splitlines():
                fields = line.split()
                # With a rate limit the last field is how late the client was itself.
                found.append((int(fields[2]) - int(fields[6])) / 1e6)
        return found


@scenario(
    alone=True,
    migrations={
        "": Files(
            sql="ALTER TABLE messages ADD COLUMN priority integer;\n",
            rollback="ALTER TABLE messages DROP COLUMN priority;\n",
        )
    },
)
def test_application_never_waits_longer_than_the_lock_timeout(case: Case) -> None:
    with tempfile.TemporaryDirectory() as directory:
        pgbench = Pgbench(case, Path(directory))
        with (
            Holder(case, "SELECT count(*) FROM messages", application_name="monthly report"),
            Holder(case, "UPDATE messages SET body = body WHERE id = 1", application_name="forgotten psql"),
            contextlib.ExitStack() as traffic,
        ):
            run = case.trigger()
            wait_until(
                lambda: bool(case.query(WANTED)),
                timeout_seconds=120,
                what=lambda: f"the migration to ask for its lock: {case.diagnosis()}",
                every=0.05,
            )
            traffic.enter_context(pgbench.running(seconds=HELD_SECONDS + 8))
            time.sleep(HELD_SECONDS)
            rest = traffic.pop_all()
        with rest:
            assert run.wait() == "success"
        seconds = pgbench.transactions()
    case.expect_applied()
    assert len(seconds) > 500
    assert max(seconds) < LOCK_TIMEOUT_SECONDS + 1
    assert max(seconds) > 0.5, "the migration did stand in the way for a moment, so something was measured"
    log = run.log(case.step())
    for name in ("monthly report", "forgotten psql"):
        assert name in log, "who is in the way is named"
