CREATE DOMAIN unused AS integer;
ALTER DOMAIN unused ADD CONSTRAINT is_positive CHECK (VALUE > 0);
