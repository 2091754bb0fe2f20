CREATE TABLE notes (id bigint, twice bigint GENERATED ALWAYS AS (id * 2) STORED NOT NULL CHECK (twice > 0));
CREATE INDEX ON notes (twice);
INSERT INTO notes VALUES (1), (2);
