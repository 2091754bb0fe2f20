GRANT admin TO app;
