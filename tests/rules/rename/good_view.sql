ALTER TABLE messages RENAME TO letters;
CREATE VIEW messages AS SELECT * FROM letters;
