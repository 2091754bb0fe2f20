CREATE TABLE tenants (id bigint PRIMARY KEY);
CREATE TABLE notes (small integer, large bigint);
