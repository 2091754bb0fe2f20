SET LOCAL work_mem = '64MB';
RESET log_statement;
