-- ===== UP =====
CREATE TABLE notes (id bigint PRIMARY KEY);
-- ===== DOWN =====
DROP TABLE notes;
