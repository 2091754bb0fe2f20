ALTER TABLE messages ADD CONSTRAINT no_twins EXCLUDE USING btree (tenant_id WITH =);
