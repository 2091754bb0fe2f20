CREATE TABLE notes (id bigint PRIMARY KEY, at timestamptz DEFAULT '2025-07-01 00:00');
