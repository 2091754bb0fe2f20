CREATE TABLE fresh (id bigint PRIMARY KEY, body text, brief text GENERATED ALWAYS AS (shortest(body)) STORED);
CREATE INDEX fresh_named ON fresh (named(body)) WHERE bound(body) <> '';
ALTER TABLE fresh ADD CONSTRAINT in_list CHECK (listed(body));
