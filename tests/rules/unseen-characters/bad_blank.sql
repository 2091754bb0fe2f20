CREATE TABLE "my shops" (id bigint PRIMARY KEY);
