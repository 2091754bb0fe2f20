CREATE TABLE tenants (id bigint PRIMARY KEY);
CREATE TABLE notes (small integer, large bigint);
CREATE TABLE small (id integer PRIMARY KEY);
CREATE TABLE named (id text PRIMARY KEY);
CREATE TABLE wide (large bigint, name varchar(20));
