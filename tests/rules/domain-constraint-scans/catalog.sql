CREATE DOMAIN positive AS integer;
CREATE DOMAIN pending AS text CONSTRAINT filled CHECK (VALUE IS NOT NULL);
ALTER DOMAIN pending ADD CONSTRAINT short CHECK (length(VALUE) < 10) NOT VALID;
CREATE TABLE notes (id bigint, size positive, "The Name" pending);
CREATE TABLE others (size positive, more positive);
INSERT INTO notes VALUES (1, 1, 'a');
INSERT INTO others VALUES (1, 2);
