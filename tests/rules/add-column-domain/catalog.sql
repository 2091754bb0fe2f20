CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN plain AS integer;
CREATE TABLE notes (id bigint);
INSERT INTO notes VALUES (1);
