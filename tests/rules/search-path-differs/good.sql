ALTER TABLE public.orders ADD COLUMN paid boolean;
CREATE TABLE app.invoices (id bigint PRIMARY KEY);
