ALTER TABLE messages ADD COLUMN "a
b" text;
