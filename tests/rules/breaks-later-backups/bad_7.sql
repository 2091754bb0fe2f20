-- another schema: the function has a path of its own
-- remains: security-definer-path (others may create in public up to 14)
ALTER TABLE notes VALIDATE CONSTRAINT waits;
