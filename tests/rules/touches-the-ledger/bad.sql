CREATE FUNCTION twice() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
CREATE TRIGGER twice AFTER INSERT ON migrator.schema_migration_reviews FOR EACH ROW EXECUTE FUNCTION twice();
