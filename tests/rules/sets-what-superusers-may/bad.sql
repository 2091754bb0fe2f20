SET LOCAL log_statement = 'none';
