ALTER TABLE t RENAME TO old_t;
CREATE TABLE t (id integer PRIMARY KEY, secret text);
