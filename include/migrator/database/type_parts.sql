-- What types of somebody's making are made of.

-- name: parts
-- A domain of the type below it, an array of its elements, a composite type of its attributes, a range of its bounds, a
-- multirange of its ranges. 16384 is the first OID that is not the server's own (FirstNormalObjectId).
SELECT
    t.oid AS whole,
    p.part
FROM pg_catalog.pg_type AS t
CROSS JOIN LATERAL (
    VALUES (t.typbasetype), (t.typelem)
    UNION ALL
    SELECT a.atttypid
    FROM pg_catalog.pg_attribute AS a
    WHERE t.typrelid = a.attrelid AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT CASE WHEN t.oid = r.rngtypid THEN r.rngsubtype ELSE r.rngtypid END
    FROM pg_catalog.pg_range AS r
    WHERE t.oid IN (r.rngtypid, r.rngmultitypid)
) AS p (part)
WHERE p.part >= 16384
