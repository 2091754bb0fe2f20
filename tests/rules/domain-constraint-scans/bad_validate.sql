-- another schema: the domain's constraint stays NOT VALID
ALTER DOMAIN pending VALIDATE CONSTRAINT short;
