"""`migrator analyze --check-data` runs what an author has written, and functions of others, before anybody has looked.

others.py refuses functions that are not PostgreSQL's own; query_to_xml() and its like are, and run any text.
"""

from __future__ import annotations

import psycopg
import pytest

from migrator.database.session import Endpoint
from tests.integration.conftest import MakeDatabase
from tests.integration.test_owners_code import TRAP, checked

SCRIPT = f"{TRAP} CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'a');"


def test_a_function_of_others_is_called(make_database: MakeDatabase) -> None:
    """`caught` is the trap of test_owners_code.py, where a direct call of it is refused."""
    sql = "ALTER TABLE t ADD CHECK (query_to_xml('SELECT public.caught(''x'')', true, true, '') IS NULL)"
    (found,) = checked(make_database(script=SCRIPT), sql)
    assert "in function caught(text) line 1 at RAISE" in found.reason


def test_a_session_of_the_application_is_ended(database: Endpoint, make_database: MakeDatabase) -> None:
    """Read-only is no hindrance, and the migration's role has pg_signal_backend."""
    endpoint = make_database(script=SCRIPT)
    with psycopg.connect(database.conninfo, autocommit=True) as application:
        pid = application.info.backend_pid
        checked(endpoint, f"ALTER TABLE t ADD CHECK (NOT pg_terminate_backend({pid} * id))")
        with pytest.raises(psycopg.OperationalError):
            application.execute("SELECT 1")


def test_its_time_limit_is_taken_off(make_database: MakeDatabase) -> None:
    """TIMEOUT_MS is a setting of the very transaction in which the author's expression runs."""
    sql = "ALTER TABLE t ADD CHECK (set_config('statement_timeout', '0', true) = current_setting('lock_timeout'))"
    (found,) = checked(make_database(script=SCRIPT), sql)
    assert found.rows == 1, "it ran"
