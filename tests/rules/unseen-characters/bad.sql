CREATE TABLE shops_new​ (id bigint PRIMARY KEY);
