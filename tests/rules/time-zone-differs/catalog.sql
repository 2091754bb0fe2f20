DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET timezone = ''Europe/Berlin''', current_database());
    EXECUTE format('ALTER DATABASE %I SET datestyle = ''ISO, DMY''', current_database());
END $$;
CREATE TABLE deadlines (id bigint PRIMARY KEY, due timestamptz, day date);
INSERT INTO deadlines VALUES (1, '2020-01-01 00:00+00');
CREATE TABLE happened (at timestamptz NOT NULL) PARTITION BY RANGE (at);
