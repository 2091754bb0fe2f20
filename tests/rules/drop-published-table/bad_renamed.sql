ALTER TABLE notes RENAME TO notes_old;
CREATE TABLE notes (LIKE notes_old INCLUDING ALL);
DROP TABLE notes_old;
