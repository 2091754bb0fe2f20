CREATE INDEX CONCURRENTLY messages_tenant_sent ON messages (tenant_id, sent); -- index_of_messages_by_tenant_and_by_the_moment_at_which_they_were_sent
UPDATE messages SET body = 'index_of_messages_by_tenant_and_by_the_moment_at_which_they_were_sent' WHERE id = 1;
