-- name: identity
-- Which database this ledger belongs to, which layout it has, and where its chain of events ends.
-- The head (count and hash) is kept apart from the events, so that a cut-off tail is found.
CREATE TABLE {schema}.ledger_identity (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    schema_version integer NOT NULL CHECK (schema_version > 0),
    engine_version text NOT NULL,
    system_identifier text NOT NULL,
    database_oid bigint NOT NULL,
    database_name text NOT NULL,
    timeline text,
    head_count bigint NOT NULL DEFAULT 0 CHECK (head_count >= 0),
    head_hash text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- name: migrations
-- One row per version: the state of now. How it came to be is in the events.
CREATE TABLE {schema}.schema_migrations (
    version text PRIMARY KEY CHECK (version <> ''),
    filename text NOT NULL,
    checksum text,
    description text NOT NULL DEFAULT '',
    type text,
    risk text CHECK (risk IN ('low', 'medium', 'high')),
    status text NOT NULL
    CHECK (status IN ('running', 'success', 'failed', 'rolled_back', 'rollback_failed')),
    started_at timestamptz,
    applied_at timestamptz,
    verified_at timestamptz,
    failed_at timestamptz,
    rolled_back_at timestamptz,
    error_message text,
    duration_ms bigint CHECK (duration_ms >= 0),
    applied_by text NOT NULL,
    run_id text NOT NULL,
    run_url text,
    engine_version text NOT NULL,
    plan_digest text,
    rests boolean NOT NULL DEFAULT false,
    CHECK (NOT rests OR status = 'running'),
    CHECK (status <> 'success' OR applied_at IS NOT NULL),
    CHECK (status <> 'failed' OR failed_at IS NOT NULL),
    CHECK (status <> 'rolled_back' OR rolled_back_at IS NOT NULL)
);

-- name: one_running
-- The server itself refuses a second migration in progress, but for those that rest: they work in batches, or wait, and
-- change no schema.
CREATE UNIQUE INDEX schema_migrations_one_running
ON {schema}.schema_migrations ((true))
WHERE status = 'running' AND NOT rests;

-- name: steps
-- One row per resumable unit. statement_digests tell on a resume whether what is done equals what was planned.
CREATE TABLE {schema}.schema_migration_steps (
    version text NOT NULL REFERENCES {schema}.schema_migrations (version),
    step text NOT NULL CHECK (step <> ''),
    position integer NOT NULL CHECK (position > 0),
    kind text NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'running', 'success', 'failed', 'rolled_back')),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    cursor jsonb NOT NULL DEFAULT jsonb_build_object(),
    statement_digests text [] NOT NULL,
    rows_done bigint,
    rows_total bigint,
    backend_pid integer,
    backend_start timestamptz,
    run_id text,
    started_at timestamptz,
    finished_at timestamptz,
    sqlstate text,
    error text,
    PRIMARY KEY (version, step)
);

-- name: transactions
-- By which numbers rows are known as a step's own: each of its transactions, with its epoch, and the parts of one that may
-- have rows (subtransactions). Nothing else has it, and nothing looks at it while a step goes on.
CREATE TABLE {schema}.schema_migration_transactions (
    version text NOT NULL,
    step text NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL,
    is_part boolean NOT NULL
);

-- name: transactions_by_step
-- There is a row for each batch.
CREATE INDEX schema_migration_transactions_step ON {schema}.schema_migration_transactions (version, step);

-- name: events
-- Append-only; each row carries the hash of the one before it. The hash is computed by the engine, not here, so that a
-- row written by hand does not become part of the chain.
CREATE TABLE {schema}.schema_migration_events (
    id bigint PRIMARY KEY CHECK (id > 0),
    at timestamptz NOT NULL,
    kind text NOT NULL CHECK (kind <> ''),
    version text,
    run_id text NOT NULL,
    actor text NOT NULL,
    detail jsonb NOT NULL,
    prev_hash text NOT NULL,
    hash text NOT NULL UNIQUE
);

-- name: events_by_version
-- The history of one version is read by status, rollback and outcome.
CREATE INDEX schema_migration_events_version ON {schema}.schema_migration_events (version, id);

-- name: reviews
-- Append-only. Each review is backed by an event of the chain; a row written by hand has none.
CREATE TABLE {schema}.schema_migration_reviews (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version text NOT NULL,
    plan_digest text NOT NULL,
    evidence_digest text NOT NULL,
    reviewer text NOT NULL CHECK (reviewer <> ''),
    reviewer_email text NOT NULL,
    decision text NOT NULL CHECK (decision IN ('approved', 'rejected', 'refused')),
    reason text NOT NULL,
    decided_at timestamptz NOT NULL,
    expires_at timestamptz,
    run_id text NOT NULL,
    event_id bigint NOT NULL UNIQUE REFERENCES {schema}.schema_migration_events (id)
);

-- name: reviews_by_version
-- Read on every gate.
CREATE INDEX schema_migration_reviews_version ON {schema}.schema_migration_reviews (version, plan_digest);

-- name: objects
-- Helper objects: what the engine makes in the target on the way, or what an interrupted statement leaves half-made.
-- A row stays when its object is gone.
CREATE TABLE {schema}.schema_migration_objects (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    class text NOT NULL
    CHECK (class IN ('index', 'index_copies', 'constraint', 'trigger', 'function', 'table', 'slot')),
    schema_name text NOT NULL,
    table_name text NOT NULL,
    object_name text NOT NULL CHECK (object_name <> ''),
    version text NOT NULL REFERENCES {schema}.schema_migrations (version),
    step text NOT NULL,
    run_id text NOT NULL,
    needed boolean NOT NULL,
    spared bigint [] NOT NULL,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    disabled_at timestamptz,
    gone_at timestamptz
);

-- name: objects_there
-- One row for what is not known to be gone, however often an attempt makes it.
CREATE UNIQUE INDEX schema_migration_objects_there
ON {schema}.schema_migration_objects (version, class, schema_name, table_name, object_name)
WHERE gone_at IS NULL;

-- name: refuse_change
-- Says no, also to the owner. ERRCODE: object not in prerequisite state.
CREATE FUNCTION {schema}.refuse_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog
AS $$
BEGIN
    RAISE EXCEPTION 'table "%" is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = '55000', HINT = 'Correct the state with "migrator ledger repair", which adds an event.';
END;
$$;

-- name: events_append_only
-- Per statement, so that an UPDATE that meets no row is refused as well.
CREATE TRIGGER append_only
BEFORE UPDATE OR DELETE OR TRUNCATE ON {schema}.schema_migration_events
FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse_change();

-- name: events_always
-- Also under session_replication_role = replica.
ALTER TABLE {schema}.schema_migration_events ENABLE ALWAYS TRIGGER append_only;

-- name: reviews_append_only
-- A decision is never edited; a new one is taken.
CREATE TRIGGER append_only
BEFORE UPDATE OR DELETE OR TRUNCATE ON {schema}.schema_migration_reviews
FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse_change();

-- name: reviews_always
-- Also under session_replication_role = replica.
ALTER TABLE {schema}.schema_migration_reviews ENABLE ALWAYS TRIGGER append_only;
