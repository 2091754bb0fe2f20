REINDEX (VERBOSE) INDEX messages_tenant;
