-- another schema: what is kept
DROP VIEW w;
CREATE VIEW w AS SELECT id FROM t WHERE id > 0;
