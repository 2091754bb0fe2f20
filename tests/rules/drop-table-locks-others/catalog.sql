CREATE TABLE customers (id bigint PRIMARY KEY);
CREATE TABLE items (id bigint PRIMARY KEY);
CREATE TABLE orders (
    customer bigint REFERENCES customers,
    item bigint REFERENCES items
);
CREATE TABLE events (happened date NOT NULL) PARTITION BY RANGE (happened);
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
