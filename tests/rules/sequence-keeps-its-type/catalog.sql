CREATE TABLE kinds (id serial PRIMARY KEY, name text);
CREATE TABLE "Odd Names" ("The Key" smallserial);
CREATE TABLE numbered (id int GENERATED ALWAYS AS IDENTITY);
INSERT INTO kinds (name) VALUES ('one');
