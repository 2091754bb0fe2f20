"""What a migration leaves behind to run later as the ledger's owner: the function of an index that autovacuum analyses.

It writes whatever fits into the chain, but does not know the password of the connection."""

from __future__ import annotations

import psycopg

LINK = """
CREATE FUNCTION public.link(kind text, of text, run text, who text, body jsonb) RETURNS bigint LANGUAGE plpgsql AS $f$
DECLARE
    head record;
    moment timestamptz := date_trunc('microseconds', clock_timestamp());
    link text;
BEGIN
    SELECT head_count, head_hash INTO head FROM migrator.ledger_identity;
    link := 'sha256:' || encode(sha256(convert_to('[' || concat_ws(', ', head.head_count + 1,
        to_json(to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')), to_json(kind), to_json(of),
        to_json(run), to_json(who), to_json(body::text), to_json(head.head_hash)) || ']', 'UTF8')), 'hex');
    INSERT INTO migrator.schema_migration_events
    VALUES (head.head_count + 1, moment, kind, of, run, who, body, head.head_hash, link);
    UPDATE migrator.ledger_identity SET head_count = head_count + 1, head_hash = link;
    RETURN head.head_count + 1;
END $f$;
"""
SCRIPT = """
CREATE TABLE w (id int); INSERT INTO w VALUES (1);
{link}
CREATE FUNCTION public.forge() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN {forged} END $f$;
CREATE FUNCTION public.f(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $f$
BEGIN
    IF to_regclass('migrator.schema_migration_steps') IS NOT NULL THEN PERFORM public.forge(); END IF;
    RETURN i;
END $f$;
CREATE INDEX w_f ON w (public.f(id));
"""


def script(forged: str) -> str:
    """:param forged: PL/pgSQL, which may call `public.link` for an event."""
    return SCRIPT.format(link=LINK, forged=forged)


def autovacuum(superuser: str) -> None:
    """ANALYZE by a superuser is what it does: functions of indexes run as the owner of the table."""
    with psycopg.connect(superuser, autocommit=True) as conn:
        conn.execute("ANALYZE public.w")
