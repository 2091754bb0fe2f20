-- invalid index: public.messages_size
CREATE INDEX CONCURRENTLY IF NOT EXISTS messages_size ON messages (size);
