UPDATE messages SET size = tenant_id + 1, code = NULL;
