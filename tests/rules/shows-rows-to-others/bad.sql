ALTER TABLE secret INHERIT parent;
