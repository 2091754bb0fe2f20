-- another schema: the function has a path of its own
-- remains: security-definer-path (others may create in public up to 14)
CREATE TABLE fresh (id bigint PRIMARY KEY, body text, brief text GENERATED ALWAYS AS (shorter(body)) STORED);
