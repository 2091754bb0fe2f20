-- another schema: the old values are not validated
ALTER DOMAIN positive ADD CONSTRAINT is_positive CHECK (VALUE > 0);
