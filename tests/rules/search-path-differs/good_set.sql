SET LOCAL search_path = app;
ALTER TABLE orders ADD COLUMN paid boolean;
