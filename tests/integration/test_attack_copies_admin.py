"""Unreviewed SQL of a dry run has its function called by the role that may create roles and databases there."""

from __future__ import annotations

from contextlib import suppress

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.errors import MigratorError
from tests.factories import plan_from_sql
from tests.integration.conftest import RESTORER
from tests.integration.copies import make_copy, rehearse

TRAP = f"""CREATE FUNCTION f(x text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF current_user = '{RESTORER}' THEN
        RAISE WARNING 'caught';
        PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'attacked%';
    END IF;
    RETURN x;
END $$;
CREATE INDEX spy ON messages ((body || f('x')));
UPDATE messages SET stars = stars + 1;
"""


def test_who_looks_on_runs_it(copies: Endpoint) -> None:
    copy = make_copy(copies)
    with psycopg.connect(copies.conninfo, application_name="attacked", autocommit=True) as other:
        plan = plan_from_sql(TRAP, "UPDATE messages SET stars = stars - 1")
        with suppress(MigratorError):
            rehearse(plan, copies, copy)
        with pytest.raises(psycopg.OperationalError):
            other.execute("SELECT 1")
