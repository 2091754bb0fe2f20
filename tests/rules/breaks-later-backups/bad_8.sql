-- another schema: the function keeps a path of its own
-- remains: security-definer-path (others may create in public up to 14)
ALTER FUNCTION shortest(text) RESET search_path;
