CREATE TABLE tenants (id bigint PRIMARY KEY);
CREATE TABLE notes (tenant_id bigint);
DO $$ BEGIN
  IF current_setting('server_version_num')::int >= 180000 THEN
    EXECUTE 'ALTER TABLE notes ADD CONSTRAINT of_tenant FOREIGN KEY (tenant_id) REFERENCES tenants NOT ENFORCED';
  END IF;
END $$;
