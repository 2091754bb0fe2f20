-- migrate:up
CREATE TABLE notes (id bigint PRIMARY KEY);

-- migrate:down
DROP TABLE notes;
