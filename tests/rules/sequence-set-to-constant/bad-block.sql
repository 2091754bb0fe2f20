DO $$BEGIN PERFORM setval('orders_id_seq', 5000, true); END$$;
