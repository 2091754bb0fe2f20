-- another schema: another type
CREATE TABLE notes (id bigint PRIMARY KEY, "a Title" varchar(50), tags varchar(10)[]);
