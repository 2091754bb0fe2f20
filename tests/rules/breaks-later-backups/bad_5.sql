-- another schema: the function has a path of its own
-- remains: security-definer-path (others may create in public up to 14)
CREATE MATERIALIZED VIEW briefs AS SELECT bound_above(body) AS brief FROM notes WITH NO DATA;
