CREATE ROLE app IN ROLE pg_execute_server_program;
