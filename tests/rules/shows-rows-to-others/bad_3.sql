CREATE OR REPLACE VIEW readable AS SELECT id, card FROM secret;
