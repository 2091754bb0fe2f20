SELECT setval('orders_id_seq', greatest((SELECT max(id) FROM orders), 1));
ALTER SEQUENCE orders_id_seq INCREMENT BY 10;
