CREATE TABLE U&"shops\200B" (id bigint PRIMARY KEY);
