-- name: constraint
-- Of a table, by its name.
SELECT
    c.contype::text AS kind,
    c.convalidated AS validated,
    c.condeferrable AS can_be_deferred,
    c.condeferred AS is_deferred,
    pg_get_constraintdef(c.oid) AS definition,
    ARRAY(
        SELECT a.attname::text
        FROM unnest(c.conkey) WITH ORDINALITY AS k (attnum, place)
        INNER JOIN pg_attribute AS a ON c.conrelid = a.attrelid AND k.attnum = a.attnum
        ORDER BY k.place
    ) AS columns
FROM pg_constraint AS c
WHERE c.conrelid = to_regclass(%(table)s) AND c.conname = %(name)s;

-- name: is_not_null
-- From PostgreSQL 18 the flag is set as well while the constraint is NOT VALID.
SELECT
    a.attnotnull AND NOT EXISTS (
        SELECT FROM pg_constraint AS c
        WHERE c.conrelid = a.attrelid AND c.contype = 'n' AND c.conkey = ARRAY[a.attnum] AND NOT c.convalidated
    ) AS not_null
FROM pg_attribute AS a
WHERE a.attrelid = to_regclass(%(table)s) AND a.attname = %(name)s AND NOT a.attisdropped;
