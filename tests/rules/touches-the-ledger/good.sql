CREATE TABLE migrator (id bigint PRIMARY KEY, name text);
ALTER TABLE migrator OWNER TO migrator;
UPDATE messages SET body = 'see migrator.schema_migrations' WHERE id IN (SELECT migrator.id FROM migrator);
