-- connection
ALTER TABLE messages_tenant RENAME TO messages_by_tenant;
