-- connection
ALTER TABLE events ALTER COLUMN happened SET DEFAULT current_date;
CREATE SEQUENCE event_numbers;
ALTER TABLE tenants ALTER COLUMN id SET DEFAULT nextval('event_numbers');
INSERT INTO tenants (name, id) SELECT 'a', 3;
