CREATE TYPE mood AS ENUM ('bad');
CREATE TABLE people (id bigint PRIMARY KEY, mood mood);
