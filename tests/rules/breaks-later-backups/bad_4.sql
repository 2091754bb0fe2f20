-- another schema: the function has a path of its own
-- remains: security-definer-path (others may create in public up to 14), domain-with-constraint (it is one)
CREATE DOMAIN feeling AS text CHECK (is_mood(VALUE));
