-- What other tools wrote down of the migrations that they applied. Each gives: version, name, applied_at, applied_by,
-- and why a row does not say that its version is applied (NULL when it does).

-- name: flyway
-- https://documentation.red-gate.com/fd: rows without a version are repeatable; an undo row takes its version back,
-- and so does one of `repair` for a file that was gone. A baseline stands for everything up to its version.
SELECT
    h.version::text AS version,
    h.description::text AS name,
    h.installed_on::timestamptz::text AS applied_at,
    h.installed_by::text AS applied_by,
    CASE
        WHEN NOT h.success THEN 'it failed'
        WHEN
            EXISTS (
                SELECT 1
                FROM {table} AS u
                WHERE
                    u.version = h.version AND u.type LIKE 'UNDO%%' AND u.success
                    AND u.installed_rank > h.installed_rank
            ) THEN 'it was undone'
        WHEN
            EXISTS (
                SELECT 1
                FROM {table} AS u
                WHERE u.version = h.version AND u.type = 'DELETE' AND u.installed_rank > h.installed_rank
            ) THEN 'it was marked as deleted'
    END AS not_applied_because,
    h.type LIKE '%%BASELINE' AS up_to
FROM {table} AS h
WHERE h.version IS NOT NULL AND h.type NOT LIKE 'UNDO%%' AND h.type <> 'DELETE'
ORDER BY h.installed_rank;

-- name: liquibase
-- A changeset is its id within its file; both may be what our version is called.
SELECT
    c.id::text AS version,
    c.filename::text AS name,
    c.dateexecuted::timestamptz::text AS applied_at,
    c.author::text AS applied_by,
    CASE WHEN c.exectype IN ('FAILED', 'SKIPPED') THEN 'its exectype is ' || c.exectype END AS not_applied_because
FROM {table} AS c
ORDER BY c.orderexecuted;

-- name: alembic
-- The heads only: what came before is in the revision files.
SELECT
    a.version_num::text AS version,
    NULL::text AS name,
    NULL::text AS applied_at,
    NULL::text AS applied_by,
    NULL::text AS not_applied_because
FROM {table} AS a
ORDER BY 1;

-- name: golang_migrate
-- One row: everything up to this version is applied, and the version itself only when it is not dirty.
SELECT
    g.version::text AS version,
    NULL::text AS name,
    NULL::text AS applied_at,
    NULL::text AS applied_by,
    CASE WHEN g.dirty THEN 'it is dirty: it failed, or was interrupted' END AS not_applied_because
FROM {table} AS g
ORDER BY g.version;

-- name: rails
-- One row for each version, which is the time of its making.
SELECT
    r.version::text AS version,
    NULL::text AS name,
    NULL::text AS applied_at,
    NULL::text AS applied_by,
    NULL::text AS not_applied_because
FROM {table} AS r
ORDER BY 1;
