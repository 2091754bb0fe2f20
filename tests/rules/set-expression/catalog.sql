CREATE TABLE notes (id bigint, twice bigint GENERATED ALWAYS AS (id * 2) STORED);
