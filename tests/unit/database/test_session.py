"""What a message says about where a database is: nothing that may be a part of the password."""

from __future__ import annotations

import psycopg
import pytest

from migrator.database.session import Endpoint, connect
from migrator.database.translate import connect_error
from migrator.errors import EnvironmentFault


@pytest.mark.parametrize(
    "conninfo",
    [
        "postgresql://u:p@ss/w0rd@localhost:notaport/db",
        "postgresql://u:p@ss/w0rd@localhost/db",
        "postgresql://u:pa/ssw0rd@localhost/db",
        "postgresql://u:p:ss/w0rd@localhost/db",
        "postgresql://u:1/ssw0rd@localhost/db",
        "postgresql://u:1/ss?host=w0rd@localhost/db",
        "postgresql://u:pa/ssw0rd",
        "postgresql://u:p@ss,w0rd@localhost/db",
        "postgresql://u:p@ssw0rd:localhost/db",
        "postgresql://u:p%ssw0rd@localhost/db",
        "postgres://u:p@ssw0rd@localhost/db",
        "host=localhost password=p ss=w0rd",
        "host=p@ssw0rd dbname=db",
        "host=localhost port=ssw0rd",
        "host=localhost dbname=ss@w0rd",
    ],
)
def test_what_may_be_half_of_a_password_is_neither_told_nor_looked_for(conninfo: str) -> None:
    endpoint = Endpoint(conninfo=conninfo)
    with pytest.raises(EnvironmentFault, match="cannot be read; check the quoting") as caught:
        connect(endpoint, purpose="observe")
    with pytest.raises(EnvironmentFault, match="cannot be read"):
        endpoint.with_database("other")
    said = f"{caught.value} {endpoint.label} {Endpoint(conninfo=conninfo, name='production').label}"
    assert [part for part in ("ss", "w0rd", "localhost") if part in said.replace("password", "")] == []


@pytest.mark.parametrize(
    "conninfo, label",
    [
        ("postgresql://u:secret@localhost:5432/db", "localhost/db"),
        ("postgresql://u:s%40e%2Fcret@localhost/db?sslmode=require", "localhost/db"),
        ("postgresql://u:p?s#[w@localhost/db", "localhost/db"),
        ("postgresql://me@one:1,two:2/db", "one,two/db"),
        ("postgresql://[::1]:5432/db", "::1/db"),
        ("postgresql:///db?host=/run/postgresql&user=me@azure", "/run/postgresql/db"),
        ("postgres://%2Ftmp/a%2Fb", "/tmp/a/b"),
        ("postgresql://", "local/"),
        ("host=/tmp port=5432,5433 user=me@azure password='p@s/s' dbname=a:b", "/tmp/a:b"),
        ("service=shop", "local/"),
    ],
)
def test_what_is_clear_is_told(conninfo: str, label: str) -> None:
    endpoint = Endpoint(conninfo=conninfo)
    endpoint.require_clear()
    assert endpoint.label == label


def test_a_setting_that_the_server_refuses_is_told_without_its_value() -> None:
    refused = psycopg.OperationalError('connection failed: FATAL:  invalid value for parameter "my.key": "s3cret"')
    assert "s3cret" not in str(connect_error(refused, "localhost/db"))
