DROP TABLE customers, orders, items;
