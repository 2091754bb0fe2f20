CREATE TYPE mood AS ENUM ('bad');
CREATE TYPE unused AS ENUM ('x');
CREATE TABLE people (id bigint PRIMARY KEY, mood mood);
