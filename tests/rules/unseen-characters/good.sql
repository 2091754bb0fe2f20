CREATE TABLE café_магазин (id bigint PRIMARY KEY, "größe" text);
COMMENT ON TABLE café_магазин IS '“quoted”, with blank';
