-- another schema: the domain's constraint stays NOT VALID
ALTER DOMAIN positive ADD CONSTRAINT is_positive CHECK (VALUE > 0);
