DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET search_path = app, public', current_database());
END $$;
CREATE SCHEMA app;
CREATE TABLE public.orders (id bigint PRIMARY KEY);
CREATE TABLE app.orders (id bigint PRIMARY KEY);
