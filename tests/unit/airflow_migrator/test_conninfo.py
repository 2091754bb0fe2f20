"""Airflow connections as libpq strings, without ever showing a password."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import Connection
from psycopg.conninfo import conninfo_to_dict

from airflow_migrator.hooks.conninfo import SEAL_KEY, conninfo_of
from migrator.errors import UsageError


def make(**changes: Any) -> Connection:
    values = {
        "conn_id": "production",
        "conn_type": "postgres",
        "host": "db.example.com",
        "port": 5433,
        "login": "migrator",
        "password": "p'a ss\\",
        "schema": "wakala",
        **changes,
    }
    if "extra" in values:
        values["extra"] = json.dumps(values["extra"])
    return Connection(**values)


def test_every_field_arrives() -> None:
    found = conninfo_to_dict(conninfo_of(make(extra={"sslmode": "verify-full", "sslrootcert": "/ca.pem"})))
    assert found == {
        "host": "db.example.com",
        "port": "5433",
        "user": "migrator",
        "password": "p'a ss\\",
        "dbname": "wakala",
        "sslmode": "verify-full",
        "sslrootcert": "/ca.pem",
    }


def test_extras_of_airflows_own_hook_are_left_out() -> None:
    assert "iam" not in conninfo_to_dict(conninfo_of(make(extra={"iam": False, "cursor": "dictcursor"})))


def test_the_secret_of_seals_is_not_libpqs() -> None:
    assert "stays" not in conninfo_of(make(extra={SEAL_KEY: "stays"}))


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"conn_type": "mysql"}, "is of type 'mysql', not 'postgres'"),
        ({"schema": ""}, "names no database"),
        ({"extra": {"sslmod": "require"}}, "'production'.*sslmod"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        conninfo_of(make(**changes))
    assert "p'a ss" not in str(caught.value)
