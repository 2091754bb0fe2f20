-- another schema: the domain's constraint stays NOT VALID
ALTER DOMAIN positive SET NOT NULL;
