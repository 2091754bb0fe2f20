"""What the client programs are told, and what others on the machine can see of it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from migrator.backups.programs import PINNED, connection_by_service
from migrator.database.session import Endpoint

SECRETS = {"password": "p@ss 'word", "sslpassword": "of-the-key", "options": "-c my.secret=1"}


def test_no_secret_stands_on_a_command_line() -> None:
    endpoint = Endpoint(make_conninfo("", host="db.example.com", dbname="shop", user="migrator", **SECRETS))
    with connection_by_service(endpoint) as (shown, env):
        assert conninfo_to_dict(shown) == {"service": "migrator"}
        path = Path(env["PGSERVICEFILE"])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "sslpassword=of-the-key\n" in path.read_text()
        assert (env["PGPASSWORD"], env["PGOPTIONS"]) == (SECRETS["password"], f"{SECRETS['options']} {PINNED}")
        assert SECRETS["password"] not in path.read_text()
    assert not path.exists()
    assert not set(SECRETS.values()) & set(os.environ.values())


def test_a_service_of_their_own_is_named() -> None:
    with connection_by_service(Endpoint("service=theirs dbname=copy sslrootcert=/ca sslpassword=of-the-key")) as (
        shown,
        env,
    ):
        assert conninfo_to_dict(shown) == {"service": "theirs", "dbname": "copy", "sslrootcert": "/ca"}
        assert env == {"PGOPTIONS": PINNED}


@pytest.mark.parametrize("uri", ["postgresql://migrator:p@ss@db.example.com/shop", "postgresql://migrator:s@db/shop"])
def test_a_label_holds_nothing_of_a_password(uri: str) -> None:
    label = Endpoint(uri, name="production").label
    assert "ss@" not in label
    assert label in ("production", "production (db/shop)")
