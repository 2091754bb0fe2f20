"""News: each channel gets what it asked for, a broken one stops nothing, a missing provider says what to install."""

from __future__ import annotations

import email
import logging
import re
import socketserver
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_migrator.notifications import CHANNELS, notify
from airflow_migrator.notifications.message import Message, from_early_failure
from migrator.targets.targets import Notification
from migrator.targets.targets_model import NotificationModel

BAD = Message("rolled_back", "001_one", "production", "step 2 failed; <undone>", "http://airflow/run")
GOOD = Message("applied", "001_one", "production", "verified", None)


class Mailbox(socketserver.ThreadingTCPServer):
    """A mail server that keeps what it gets."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        self.letters: list[email.message.Message] = []
        super().__init__(("127.0.0.1", 0), Post)


class Post(socketserver.StreamRequestHandler):
    server: Mailbox

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        for line in self.rfile:
            verb = line.strip().upper()
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = iter(self.rfile.readline, b".\r\n")
                self.server.letters.append(email.message_from_bytes(b"".join(lines)))
            self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
            if verb == b"QUIT":
                return


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    with Mailbox() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        monkeypatch.setenv(
            "AIRFLOW_CONN_MAIL",
            f"smtp://127.0.0.1:{port}/?disable_ssl=true&disable_tls=true&from_email=migrator%40wakala.com",
        )
        yield server
        server.shutdown()


def test_every_kind_of_targets_yaml_has_a_channel() -> None:
    kinds = NotificationModel.model_json_schema()["properties"]["kind"]["enum"]
    assert [kind for kind, _ in CHANNELS] == kinds


def test_the_log_gets_headline_text_and_link(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert notify(BAD, [Notification("log")], {}) == ("log",)
    assert "migration 001_one on production: rolled back\nstep 2 failed; <undone>\nhttp://airflow/run" in caplog.text
    assert caplog.records[-1].levelno == logging.WARNING


def test_a_letter_really_arrives(mailbox: Mailbox) -> None:
    sent = notify(BAD, [Notification("smtp", connection="mail", to=("dba@wakala.com",))], {})
    assert sent == ("smtp",)
    (letter,) = mailbox.letters
    assert letter["Subject"] == "migration 001_one on production: rolled back"
    assert letter["To"] == "dba@wakala.com"
    body = "".join(
        part.get_payload(decode=True).decode() for part in letter.walk() if part.get_content_maintype() == "text"
    )
    assert "step 2 failed; &lt;undone&gt;" in body
    assert "http://airflow/run" in body


def test_only_the_events_that_were_asked_for() -> None:
    only_failures = Notification("log", events=("failed",))
    assert notify(GOOD, [only_failures], {}) == ()
    assert notify(GOOD, [Notification("log", events=("applied",))], {}) == ("log",)


@pytest.mark.parametrize("kind", ["slack", "pagerduty"])
def test_a_missing_provider_says_what_to_install_and_stops_nothing(
    kind: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, f"airflow.providers.{kind}", None)
    assert notify(BAD, [Notification(kind), Notification("log")], {}) == ("log",)
    assert f"needs the provider 'apache-airflow-providers-{kind}'" in caplog.text


def test_slack_is_not_told_to_call_anybody() -> None:
    from airflow_migrator.notifications.slack import text_of

    message = Message("failed", "001_one", "production", "<!channel> & <@U1> <http://x|y>", "http://airflow/run")
    shown = text_of(message)
    assert "&lt;!channel&gt; &amp; &lt;@U1&gt; &lt;http://x|y&gt;" in shown
    assert re.findall("<[^>]*>", shown) == ["<http://airflow/run|open the run>"]


def test_every_channel_shows_what_cannot_be_seen(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert notify(Message("failed", "001_one", "production", "safe \u202eon"), [Notification("log")], {}) == ("log",)
    assert "safe <U+202E>on" in caplog.text


def test_an_early_failure_names_stage_and_reason() -> None:
    message = from_early_failure(
        dag_id="migrate_001_one", run_id="manual__1", stage="dry_run", target="production", reason="lock"
    )
    assert message.version == "001_one"
    assert message.text == "stage dry_run failed, nothing was applied: lock"


def test_a_callback_never_raises(caplog: pytest.LogCaptureFixture) -> None:
    from airflow_migrator.early_failure import notify_early_failure

    context: Any = {"params": {}, "ti": object()}
    notify_early_failure(context)
    assert "could not tell anybody" in caplog.text
