-- name: exists
-- Catalog only: works without any privilege on the schema.
SELECT EXISTS (
    SELECT 1
    FROM pg_catalog.pg_class AS c
    INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
    WHERE n.nspname = %(schema)s AND c.relname = 'ledger_identity'
) AS found;

-- name: schema_exists
-- CREATE SCHEMA IF NOT EXISTS wants the privilege to create even when it exists.
SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %(schema)s) AS found;

-- name: installer_lock
-- One installer at a time; released at the end of the transaction.
SELECT pg_catalog.pg_advisory_xact_lock(%(key)s);

-- name: insert_identity
-- The one row; later versions of the layout only change its number.
INSERT INTO {schema}.ledger_identity (
    schema_version, engine_version, system_identifier, database_oid, database_name, timeline, head_hash
)
VALUES (
    %(schema_version)s, %(engine_version)s, %(system_identifier)s, %(database_oid)s, %(database_name)s, %(timeline)s,
    %(head_hash)s
);

-- name: set_schema_version
-- After a numbered layout file has run.
UPDATE {schema}.ledger_identity
SET schema_version = %(schema_version)s, engine_version = %(engine_version)s;

-- name: rebind_identity
-- A restored or cloned ledger is told where it lives now.
UPDATE {schema}.ledger_identity
SET
    system_identifier = %(system_identifier)s,
    database_oid = %(database_oid)s,
    database_name = %(database_name)s,
    timeline = %(timeline)s;

-- name: schema_version
-- Read alone first: a newer layout may have renamed everything else.
SELECT schema_version FROM {schema}.ledger_identity;

-- name: identity
-- Who wrote this ledger, and where its chain ends.
SELECT
    schema_version,
    engine_version,
    system_identifier,
    database_oid,
    database_name,
    timeline,
    head_count,
    head_hash,
    created_at
FROM {schema}.ledger_identity;

-- name: head_and_last_event
-- Compared on every check: cheap, and finds a cut-off or replaced tail. One statement, so one snapshot.
SELECT
    i.head_count,
    i.head_hash,
    e.id,
    e.hash
FROM {schema}.ledger_identity AS i
LEFT JOIN {schema}.schema_migration_events AS e
    ON e.id = (SELECT max(m.id) FROM {schema}.schema_migration_events AS m);

-- name: mark
-- What a migration must leave as it is. One statement, so one snapshot.
SELECT
    i.head_count,
    i.head_hash,
    (SELECT pg_catalog.count(*) FROM {schema}.schema_migration_reviews AS r WHERE r.version = %(version)s) AS reviews,
    (
        SELECT
            pg_catalog.encode(
                pg_catalog.sha256(
                    pg_catalog.convert_to(
                        coalesce(pg_catalog.string_agg(ROW(m.*)::text, ' ' ORDER BY m.version), ''), 'UTF8'
                    )
                ),
                'hex'
            )
        FROM {schema}.schema_migrations AS m
        WHERE m.version <> %(version)s
    ) AS others
FROM {schema}.ledger_identity AS i;

-- name: horizon
-- The transaction of this session, and the first one that is not there yet; as xmin has them, without the epoch.
SELECT
    pg_catalog.mod(pg_catalog.pg_current_xact_id_if_assigned()::text::numeric, 4294967296)::bigint AS own,
    pg_catalog.mod(
        pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::numeric, 4294967296
    )::bigint AS next;

-- name: versions
-- Every row as it is now, by its place and by who has written it: of the events those after the head of `mark`, the
-- earlier ones are covered by the chain.
SELECT 'ledger_identity' AS relation, ctid::text AS place, xmin::text::bigint AS written_by FROM {schema}.ledger_identity
UNION ALL
SELECT 'schema_migrations' AS relation, ctid::text AS place, xmin::text::bigint AS written_by
FROM {schema}.schema_migrations
UNION ALL
SELECT 'schema_migration_steps' AS relation, ctid::text AS place, xmin::text::bigint AS written_by
FROM {schema}.schema_migration_steps
UNION ALL
SELECT 'schema_migration_reviews' AS relation, ctid::text AS place, xmin::text::bigint AS written_by
FROM {schema}.schema_migration_reviews
UNION ALL
SELECT 'schema_migration_objects' AS relation, ctid::text AS place, xmin::text::bigint AS written_by
FROM {schema}.schema_migration_objects
UNION ALL
SELECT 'schema_migration_events' AS relation, ctid::text AS place, xmin::text::bigint AS written_by
FROM {schema}.schema_migration_events
WHERE id > %(after)s;

-- name: keep_from_others
-- Nobody writes there until this transaction ends; everybody reads.
LOCK TABLE
    {schema}.ledger_identity, {schema}.schema_migrations, {schema}.schema_migration_steps,
    {schema}.schema_migration_reviews, {schema}.schema_migration_objects, {schema}.schema_migration_events
IN SHARE ROW EXCLUSIVE MODE;

-- name: take_turn
-- Writers queue here, where nobody has a transaction number yet. Of all modes that exclude themselves this one lets rows be
-- written, and nobody without rights on the table can take it, as anybody can an advisory lock.
LOCK TABLE {schema}.ledger_identity IN SHARE UPDATE EXCLUSIVE MODE;

-- name: turn_holder
-- Who has the turn.
SELECT
    l.pid,
    a.usename AS user_name,
    a.application_name
FROM pg_catalog.pg_locks AS l
LEFT JOIN pg_catalog.pg_stat_activity AS a ON l.pid = a.pid
INNER JOIN pg_catalog.pg_class AS c ON l.relation = c.oid
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
WHERE
    n.nspname = %(schema)s AND c.relname = 'ledger_identity' AND l.granted
    AND l.mode IN ('ShareUpdateExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
LIMIT 1;

-- name: take_head
-- Serialises the writers of events: each holds the head until its own commit. The detail comes back as PostgreSQL prints
-- it, because that text is what the hash covers.
SELECT
    head_count,
    head_hash,
    clock_timestamp() AS at,
    %(detail)s::jsonb::text AS detail_text
FROM {schema}.ledger_identity
FOR UPDATE;

-- name: insert_event
-- The event and the head of the chain in one round trip. id and hash are computed by the engine.
WITH added AS (
    INSERT INTO {schema}.schema_migration_events (id, at, kind, version, run_id, actor, detail, prev_hash, hash)
    VALUES (
        %(id)s, %(at)s, %(kind)s, %(version)s, %(run_id)s, %(actor)s, %(detail_text)s::jsonb, %(prev_hash)s, %(hash)s
    )
)

UPDATE {schema}.ledger_identity
SET head_count = %(id)s, head_hash = %(hash)s;

-- name: events
-- Keyset pages, so that a long history is read in constant memory.
SELECT
    id,
    at,
    kind,
    version,
    run_id,
    actor,
    detail,
    prev_hash,
    hash,
    detail::text AS detail_text
FROM {schema}.schema_migration_events
WHERE
    id > %(after)s
    AND (%(version)s::text IS NULL OR version = %(version)s)
    AND (%(kinds)s::text [] IS NULL OR kind = ANY(%(kinds)s))
ORDER BY id
LIMIT %(limit)s;

-- name: server_time
-- Not now(), which stands still for a transaction.
SELECT clock_timestamp() AS now;

-- name: migrations
-- All, or one, or the one that is running.
SELECT
    version,
    filename,
    checksum,
    description,
    type,
    risk,
    status,
    started_at,
    applied_at,
    verified_at,
    failed_at,
    rolled_back_at,
    error_message,
    duration_ms,
    applied_by,
    run_id,
    run_url,
    engine_version,
    plan_digest,
    rests
FROM {schema}.schema_migrations
WHERE
    (%(version)s::text IS NULL OR version = %(version)s)
    AND (%(status)s::text IS NULL OR status = %(status)s)
ORDER BY applied_at NULLS LAST, started_at, version;

-- name: steps
-- In the order of the plan.
SELECT
    version,
    step,
    position,
    kind,
    status,
    attempts,
    cursor - 'others' AS cursor,
    statement_digests,
    rows_done,
    rows_total,
    backend_pid,
    backend_start,
    run_id,
    started_at,
    finished_at,
    sqlstate,
    error
FROM {schema}.schema_migration_steps
WHERE (%(version)s::text IS NULL OR version = %(version)s) AND (%(step)s::text IS NULL OR step = %(step)s)
ORDER BY version, position, step;

-- name: work
-- Of each step the numbers of its own transactions, and from which on it may have written: the first of those, but of
-- statements of which some have no transaction that the ledger knows, its first start. Of an earlier round, which was
-- undone, no event counts.
SELECT
    s.step,
    n.own,
    n.parts,
    CASE
        WHEN n.first IS NOT NULL AND NOT (s.kind = 'sql' AND s.cursor ? 'statements_done')
            THEN pg_catalog.mod(n.first, 4294967296)::text
        WHEN s.kind = 'sql' OR n.first IS NOT NULL
            THEN coalesce(
                (
                    SELECT e.xmin::text
                    FROM {schema}.schema_migration_events AS e
                    WHERE
                        e.version = s.version
                        AND e.kind = 'step_started'
                        AND e.detail ->> 'step' = s.step
                        AND e.id > coalesce(
                            (
                                SELECT max(u.id)
                                FROM {schema}.schema_migration_events AS u
                                WHERE u.version = s.version AND u.kind = 'rolled_back'
                            ),
                            0
                        )
                    ORDER BY e.id
                    LIMIT 1
                ),
                s.xmin::text
            )
    END AS first,
    s.cursor -> 'others' AS others
FROM {schema}.schema_migration_steps AS s
CROSS JOIN LATERAL (
    SELECT
        min(t.first) AS first,
        (pg_catalog.range_agg(pg_catalog.int8range(t.first, t.last, '[]')) FILTER (WHERE NOT t.is_part))::text AS own,
        (pg_catalog.range_agg(pg_catalog.int8range(t.first, t.last, '[]')) FILTER (WHERE t.is_part))::text AS parts
    FROM {schema}.schema_migration_transactions AS t
    WHERE t.version = s.version AND t.step = s.step
) AS n
WHERE s.version = %(version)s
ORDER BY s.position;

-- name: others_at_work
-- Transactions that go on and may write, each subtransaction that has a number included, and by each table that one of
-- them may have written the oldest of those. What a snapshot lists is sure to be there; the rest only locks tell.
WITH locks AS MATERIALIZED (
    SELECT
        l.virtualtransaction,
        l.locktype,
        l.database,
        l.relation,
        l.mode,
        l.transactionid
    FROM pg_catalog.pg_locks AS l
    WHERE l.granted AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
),

going AS (
    SELECT
        l.virtualtransaction,
        l.transactionid
    FROM locks AS l
    WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock'
),

written AS (
    SELECT
        l.relation,
        (pg_catalog.array_agg(g.transactionid::text ORDER BY pg_catalog.age(g.transactionid) DESC))[1] AS oldest
    FROM locks AS l
    INNER JOIN going AS g ON l.virtualtransaction = g.virtualtransaction
    INNER JOIN pg_catalog.pg_database AS d ON l.database = d.oid
    WHERE
        l.locktype = 'relation'
        AND d.datname = pg_catalog.current_database()
        AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
    GROUP BY l.relation
)

SELECT
    s.xmin::text AS last,
    s.cursor -> 'others' -> 'before' AS before,
    s.cursor ? 'statements_done' AS has_begun,
    ARRAY(
        SELECT g.transactionid::text FROM going AS g
        UNION
        SELECT x.number::xid::text
        FROM pg_catalog.pg_snapshot_xip(pg_catalog.pg_current_snapshot()) AS x (number)
    ) AS going,
    (
        SELECT coalesce(pg_catalog.jsonb_object_agg(w.relation, w.oldest), pg_catalog.jsonb_build_object())
        FROM written AS w
    ) AS written
FROM {schema}.schema_migration_steps AS s
WHERE s.version = %(version)s AND s.step = %(step)s;

-- name: note_others
-- Beside what the cursor says already.
UPDATE {schema}.schema_migration_steps
SET cursor = cursor || pg_catalog.jsonb_build_object('others', %(others)s::jsonb)
WHERE version = %(version)s AND step = %(step)s;

-- name: note_own
-- The number of this transaction, and those of its parts: up to the last one they go on as it does. A part of another one
-- that has ended is among them. Where there may be too many to ask for, they are not noted, and count as others'.
WITH this AS (
    SELECT pg_catalog.pg_current_xact_id()::text::bigint AS number
),

span AS (
    SELECT
        t.number,
        t.number + pg_catalog.mod(%(last)s::bigint - pg_catalog.mod(t.number, 4294967296) + 4294967296, 4294967296) AS last
    FROM this AS t
),

parts AS (
    SELECT
        n.one AS number,
        n.one - pg_catalog.row_number() OVER (ORDER BY n.one) AS island
    FROM span AS s
    CROSS JOIN LATERAL pg_catalog.generate_series(s.number + 1, s.last) AS n (one)
    WHERE
        s.last - s.number <= %(most)s
        AND pg_catalog.pg_xact_status(n.one::text::xid8) = 'in progress'
        AND NOT n.one::text::xid8::xid = ANY(%(going)s::xid [])
)

INSERT INTO {schema}.schema_migration_transactions (version, step, first, last, is_part)
SELECT %(version)s, %(step)s, t.number AS first, t.number AS last, false AS is_part
FROM this AS t
UNION ALL
SELECT %(version)s, %(step)s, min(p.number), max(p.number), true
FROM parts AS p
GROUP BY p.island;

-- name: reviews
-- Oldest first, as the chain has them: a row may have been made again. With the event that backs each, its neighbours and the head: what is no link of the chain backs nothing.
SELECT
    r.id,
    r.version,
    r.plan_digest,
    r.evidence_digest,
    r.reviewer,
    r.reviewer_email,
    r.decision,
    r.reason,
    r.decided_at,
    r.expires_at,
    r.run_id,
    r.event_id,
    e.detail AS event_detail,
    e.detail::text AS event_detail_text,
    e.at AS event_at,
    e.run_id AS event_run_id,
    e.actor AS event_actor,
    e.prev_hash AS event_prev_hash,
    e.hash AS event_hash,
    b.hash AS hash_before,
    coalesce(a.prev_hash, i.head_hash) AS hash_after,
    i.head_count
FROM {schema}.schema_migration_reviews AS r
CROSS JOIN {schema}.ledger_identity AS i
LEFT JOIN {schema}.schema_migration_events AS e
    ON r.event_id = e.id AND e.kind = 'review' AND r.version = e.version
LEFT JOIN {schema}.schema_migration_events AS b ON b.id = e.id - 1
LEFT JOIN {schema}.schema_migration_events AS a ON a.id = e.id + 1
WHERE
    (%(version)s::text IS NULL OR r.version = %(version)s)
    AND (%(plan_digest)s::text IS NULL OR r.plan_digest = %(plan_digest)s)
ORDER BY r.event_id;

-- name: lost_reviews
-- Events of reviews whose row is gone: a rejection that somebody deleted would let the rest pass.
SELECT
    e.id,
    e.version,
    e.actor
FROM {schema}.schema_migration_events AS e
WHERE
    e.kind = 'review'
    AND (%(version)s::text IS NULL OR e.version = %(version)s)
    AND NOT EXISTS (SELECT 1 FROM {schema}.schema_migration_reviews AS r WHERE r.event_id = e.id)
ORDER BY e.id;

-- name: insert_review
-- In the transaction of its event.
INSERT INTO {schema}.schema_migration_reviews (
    version, plan_digest, evidence_digest, reviewer, reviewer_email, decision, reason, decided_at, expires_at, run_id,
    event_id
)
VALUES (
    %(version)s, %(plan_digest)s, %(evidence_digest)s, %(reviewer)s, %(reviewer_email)s, %(decision)s, %(reason)s,
    %(decided_at)s, %(expires_at)s, %(run_id)s, %(event_id)s
);

-- name: begin_migration
-- A new version, or a new run of one that failed or was rolled back: what is of the past goes to the events.
INSERT INTO {schema}.schema_migrations (
    version, filename, checksum, description, type, risk, status, started_at, applied_by, run_id, run_url,
    engine_version, plan_digest
)
VALUES (
    %(version)s, %(filename)s, %(checksum)s, %(description)s, %(type)s, %(risk)s, 'running', clock_timestamp(),
    %(actor)s, %(run_id)s, %(run_url)s, %(engine_version)s, %(plan_digest)s
)
ON CONFLICT (version) DO UPDATE
SET
    filename = excluded.filename,
    checksum = excluded.checksum,
    description = excluded.description,
    type = excluded.type,
    risk = excluded.risk,
    status = excluded.status,
    rests = false,
    started_at = excluded.started_at,
    applied_at = NULL,
    verified_at = NULL,
    failed_at = NULL,
    rolled_back_at = NULL,
    error_message = NULL,
    duration_ms = NULL,
    applied_by = excluded.applied_by,
    run_id = excluded.run_id,
    run_url = excluded.run_url,
    engine_version = excluded.engine_version,
    plan_digest = excluded.plan_digest;

-- name: keep_applied
-- A resumed migration whose last step is done stays applied.
UPDATE {schema}.schema_migrations
SET applied_at = %(applied_at)s
WHERE version = %(version)s;

-- name: plan_step
-- A step of which nothing is done, as the plan of this run has it. Attempts are kept.
INSERT INTO {schema}.schema_migration_steps (version, step, position, kind, status, statement_digests)
VALUES (%(version)s, %(step)s, %(position)s, %(kind)s, 'pending', %(statement_digests)s)
ON CONFLICT (version, step) DO UPDATE
SET
    position = excluded.position,
    kind = excluded.kind,
    status = excluded.status,
    statement_digests = excluded.statement_digests,
    cursor = excluded.cursor,
    rows_done = NULL,
    rows_total = NULL;

-- name: replan_step
-- A step that is done in part: what is done stays, what is still to do may have changed.
UPDATE {schema}.schema_migration_steps
SET
    position = %(position)s,
    kind = %(kind)s,
    statement_digests = %(statement_digests)s
WHERE version = %(version)s AND step = %(step)s;

-- name: forget_steps
-- Steps of an earlier plan that never took effect and are not in this one.
DELETE FROM {schema}.schema_migration_steps
WHERE version = %(version)s AND step <> ALL(%(steps)s);

-- name: hold_migration
-- Locks the row of a migration that this run holds; every write of a step passes here first.
SELECT status
FROM {schema}.schema_migrations
WHERE version = %(version)s AND run_id = %(run_id)s AND status = 'running'
FOR UPDATE;

-- name: set_rests
-- Nothing is written when it is so already.
UPDATE {schema}.schema_migrations
SET rests = %(rests)s
WHERE version = %(version)s AND run_id = %(run_id)s AND status = 'running' AND rests <> %(rests)s;

-- name: step_started
-- backend_pid and backend_start name the session that executes, for the fence. What an earlier one waited for is over.
UPDATE {schema}.schema_migration_steps
SET
    status = 'running',
    cursor = cursor - ARRAY['waiting', 'slowed', 'helpers'],
    attempts = attempts + 1,
    run_id = %(run_id)s,
    backend_pid = %(backend_pid)s,
    backend_start = %(backend_start)s,
    started_at = clock_timestamp(),
    finished_at = NULL,
    sqlstate = NULL,
    error = NULL
WHERE version = %(version)s AND step = %(step)s AND status <> 'success';

-- name: step_progress
-- Frequent and small; leaves no event.
UPDATE {schema}.schema_migration_steps
SET
    cursor = %(cursor)s::jsonb || pg_catalog.jsonb_build_object('others', cursor -> 'others'),
    rows_done = coalesce(%(rows_done)s, rows_done),
    rows_total = coalesce(%(rows_total)s, rows_total)
WHERE version = %(version)s AND step = %(step)s AND status = 'running';

-- name: step_advanced
-- By a session that executes the step, in its own open transaction: a batch. Nobody else's pid stands in the row.
-- Its number is noted: rows that have it are the step's own.
WITH advanced AS (
    UPDATE {schema}.schema_migration_steps
    SET
        cursor = %(cursor)s::jsonb || pg_catalog.jsonb_build_object('others', cursor -> 'others'),
        rows_done = %(rows_done)s,
        rows_total = %(rows_total)s
    WHERE
        version = %(version)s
        AND step = %(step)s
        AND status = 'running'
        AND (
            backend_pid = pg_catalog.pg_backend_pid()
            OR EXISTS (
                SELECT 1
                FROM pg_catalog.jsonb_array_elements(cursor -> 'helpers') AS h (session)
                WHERE (h.session ->> 0)::integer = pg_catalog.pg_backend_pid()
            )
        )
    RETURNING version, step
)

INSERT INTO {schema}.schema_migration_transactions (version, step, first, last, is_part)
SELECT
    a.version,
    a.step,
    pg_catalog.pg_current_xact_id()::text::bigint AS first,
    pg_catalog.pg_current_xact_id()::text::bigint AS last,
    false AS is_part
FROM advanced AS a;

-- name: step_waits
-- Why nothing goes on, for those who look; the place to go on stays. A worker that was fenced meets no row.
UPDATE {schema}.schema_migration_steps
SET cursor = (cursor - 'waiting') || %(waiting)s::jsonb
WHERE version = %(version)s AND step = %(step)s AND status = 'running' AND backend_pid = %(pid)s;

-- name: step_succeeded
-- May run in the transaction of the DDL itself.
UPDATE {schema}.schema_migration_steps
SET
    status = 'success',
    finished_at = clock_timestamp(),
    rows_done = coalesce(%(rows)s, rows_done),
    sqlstate = NULL,
    error = NULL
WHERE version = %(version)s AND step = %(step)s AND status = 'running';

-- name: applied
-- The last step is done; verified it is not yet.
UPDATE {schema}.schema_migrations
SET
    applied_at = coalesce(applied_at, clock_timestamp()),
    duration_ms = coalesce(
        %(duration_ms)s, (extract(EPOCH FROM clock_timestamp() - started_at) * 1000)::bigint
    )
WHERE version = %(version)s;

-- name: step_failed
-- Written on a connection of its own: the rollback of the DDL cannot take it along.
UPDATE {schema}.schema_migration_steps
SET
    status = 'failed',
    finished_at = clock_timestamp(),
    sqlstate = %(sqlstate)s,
    error = %(error)s
WHERE version = %(version)s AND step = %(step)s AND status <> 'success';

-- name: step_rolled_back
-- Undone, by the rollback script; what it had written is not there any more.
WITH gone AS (
    DELETE FROM {schema}.schema_migration_transactions
    WHERE version = %(version)s AND (%(step)s::text IS NULL OR step = %(step)s)
)

UPDATE {schema}.schema_migration_steps
SET status = 'rolled_back', finished_at = clock_timestamp()
WHERE version = %(version)s AND (%(step)s::text IS NULL OR step = %(step)s) AND status <> 'pending';

-- name: steps_repaired
-- A person says what is true.
UPDATE {schema}.schema_migration_steps
SET status = %(to_status)s, finished_at = coalesce(finished_at, clock_timestamp())
WHERE version = %(version)s AND status = ANY(%(from_status)s);

-- name: lock_migration
-- Before a change of status: waits for a transaction that is just committing a step of this version.
SELECT version
FROM {schema}.schema_migrations
WHERE version = %(version)s
FOR UPDATE;

-- name: untold_successes
-- Steps that committed together with their DDL: their event is still to be written.
SELECT s.step
FROM {schema}.schema_migration_steps AS s
WHERE
    s.version = %(version)s
    AND s.status = 'success'
    AND NOT EXISTS (
        SELECT 1
        FROM {schema}.schema_migration_events AS e
        WHERE
            e.version = s.version
            AND e.kind = 'step_succeeded'
            AND e.detail ->> 'step' = s.step
            AND e.detail ->> 'attempt' = s.attempts::text
    )
ORDER BY s.position;

-- name: verified
-- Only after this a migration counts as applied for its dependants.
UPDATE {schema}.schema_migrations
SET
    rests = false,
    status = 'success',
    verified_at = clock_timestamp(),
    failed_at = NULL,
    error_message = NULL,
    duration_ms = coalesce(%(duration_ms)s, duration_ms)
WHERE version = %(version)s;

-- name: failed
-- The runbook's "mark migration as failed".
UPDATE {schema}.schema_migrations
SET status = 'failed', rests = false, failed_at = clock_timestamp(), error_message = %(error_message)s
WHERE version = %(version)s;

-- name: rolled_back
-- Nothing of this version is left in the database.
UPDATE {schema}.schema_migrations
SET
    rests = false,
    status = 'rolled_back',
    rolled_back_at = clock_timestamp(),
    applied_at = NULL,
    verified_at = NULL,
    error_message = coalesce(error_message, %(error_message)s)
WHERE version = %(version)s;

-- name: rollback_failed
-- Half undone: only a person may go on.
UPDATE {schema}.schema_migrations
SET
    rests = false,
    status = 'rollback_failed',
    failed_at = coalesce(failed_at, clock_timestamp()),
    error_message = %(error_message)s
WHERE version = %(version)s;

-- name: repaired
-- A person's word; the event beside it says whose and why.
UPDATE {schema}.schema_migrations
SET
    rests = false,
    status = %(status)s,
    applied_at = CASE %(status)s
        WHEN 'success' THEN coalesce(applied_at, clock_timestamp())
        WHEN 'rolled_back' THEN NULL
        ELSE applied_at
    END,
    failed_at = CASE %(status)s
        WHEN 'failed' THEN coalesce(failed_at, clock_timestamp())
        WHEN 'success' THEN NULL
        ELSE failed_at
    END,
    rolled_back_at = CASE %(status)s
        WHEN 'rolled_back' THEN coalesce(rolled_back_at, clock_timestamp())
        ELSE rolled_back_at
    END,
    verified_at = CASE %(status)s WHEN 'success' THEN verified_at END,
    error_message = CASE %(status)s WHEN 'success' THEN NULL ELSE coalesce(error_message, %(reason)s) END
WHERE version = %(version)s;

-- name: adopt_version
-- A version that was applied before this ledger existed. verified_at stays empty: nobody proved it.
INSERT INTO {schema}.schema_migrations (
    version, filename, checksum, description, type, risk, status, applied_at, applied_by, run_id, run_url,
    engine_version
)
VALUES (
    %(version)s, %(filename)s, %(checksum)s, %(description)s, %(type)s, %(risk)s, 'success',
    coalesce(%(applied_at)s, clock_timestamp()), %(actor)s, %(run_id)s, %(run_url)s, %(engine_version)s
)
ON CONFLICT (version) DO NOTHING;

-- name: baselined
-- Has somebody said what was in the database before the ledger, or has the ledger a history of its own?
SELECT
    EXISTS (SELECT 1 FROM {schema}.schema_migrations)
    OR EXISTS (SELECT 1 FROM {schema}.schema_migration_events WHERE kind = 'baseline') AS found;

-- name: settle_step
-- A person looked whether an interrupted statement took effect.
UPDATE {schema}.schema_migration_steps
SET cursor = %(cursor)s::jsonb || pg_catalog.jsonb_build_object('others', cursor -> 'others')
WHERE version = %(version)s AND step = %(step)s;

-- name: register_object
-- Again by a later attempt: what was there before the first one is still not of the migration.
INSERT INTO {schema}.schema_migration_objects (
    class, schema_name, table_name, object_name, version, step, run_id, needed, spared
)
VALUES (
    %(class)s, %(schema_name)s, %(table_name)s, %(object_name)s, %(version)s, %(step)s, %(run_id)s, %(needed)s, %(spared)s
)
ON CONFLICT (version, class, schema_name, table_name, object_name) WHERE gone_at IS NULL DO UPDATE
SET step = excluded.step, run_id = excluded.run_id, needed = excluded.needed, disabled_at = NULL;

-- name: object_gone
-- By what it is.
UPDATE {schema}.schema_migration_objects
SET gone_at = clock_timestamp()
WHERE
    version = %(version)s
    AND class = %(class)s
    AND schema_name = %(schema_name)s
    AND table_name = %(table_name)s
    AND object_name = %(object_name)s
    AND gone_at IS NULL;

-- name: object_disabled
-- From then on no new transaction runs it.
UPDATE {schema}.schema_migration_objects
SET disabled_at = coalesce(disabled_at, clock_timestamp())
WHERE id = %(id)s AND gone_at IS NULL;

-- name: objects
-- What is not known to be gone, of one version or of all; oldest first.
SELECT
    id,
    class,
    schema_name,
    table_name,
    object_name,
    version,
    step,
    run_id,
    needed,
    spared,
    made_at,
    disabled_at,
    gone_at
FROM {schema}.schema_migration_objects
WHERE gone_at IS NULL AND (%(version)s::text IS NULL OR version = %(version)s)
ORDER BY id;
