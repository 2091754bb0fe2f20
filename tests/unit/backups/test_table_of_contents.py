"""Which lines of pg_restore --list are left out."""

from __future__ import annotations

import pytest

from migrator.backups.table_of_contents import Held, entry_of, is_left_out

HELD = Held(
    extensions=("dblink", "uuid-ossp"),
    schemas=("public", "ext"),
    members=(("public", "FUNCTION f(a oid)"), ("-", "FOREIGN DATA WRAPPER w")),
    tables=(("public", "spatial_ref_sys"),),
)


@pytest.mark.parametrize(
    "line",
    [
        "2; 3079 16386 EXTENSION - dblink ",
        "2; 3079 16386 EXTENSION - dblink",
        '3522; 0 0 COMMENT - EXTENSION "uuid-ossp" ',
        "11; 2615 16385 SCHEMA - ext postgres",
        "3523; 0 0 ACL public FUNCTION f(a oid) postgres",
        "3524; 0 0 ACL - FOREIGN DATA WRAPPER w postgres",
        "9; 0 1 TABLE DATA public spatial_ref_sys postgres",
        "3525; 0 0 USER MAPPING - USER MAPPING public SERVER s postgres",
        "3526; 6104 2 PUBLICATION - p postgres",
        "3527; 0 0 COMMENT - PUBLICATION p postgres",
        "3528; 0 0 COMMENT - EVENT TRIGGER e postgres",
        "3529; 0 0 SECURITY LABEL - SUBSCRIPTION s postgres",
    ],
)
def test_what_a_template_holds_is_left_out(line: str) -> None:
    assert is_left_out(line, privileges=True, held=HELD)


@pytest.mark.parametrize(
    "line",
    [
        ";     dbname: a",
        "5; 3079 16470 EXTENSION - citext ",
        "5; 3079 16470 EXTENSION - dblink_more ",
        "3516; 0 0 COMMENT - SCHEMA ext postgres",
        "3517; 0 0 COMMENT public TABLE t postgres",
        "3517; 0 0 ACL - SCHEMA ext postgres",
        "4; 2615 2200 SCHEMA - public postgres",
        "3523; 0 0 ACL public FUNCTION f(b oid) postgres",
        "9; 0 1 TABLE DATA other spatial_ref_sys postgres",
    ],
)
def test_everything_else_is_restored(line: str) -> None:
    assert not is_left_out(line, privileges=True, held=HELD)


def test_without_privileges_no_line_of_them_is_restored() -> None:
    assert is_left_out("3517; 0 0 ACL - SCHEMA other postgres", privileges=False, held=Held())
    assert entry_of("3517; 0 0 ACL - SCHEMA other postgres") == "ACL - SCHEMA other postgres"
