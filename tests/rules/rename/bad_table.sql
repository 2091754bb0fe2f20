-- another schema: a view with the old name
ALTER TABLE messages RENAME TO letters;
