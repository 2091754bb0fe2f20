BEGIN;
ALTER TABLE contacts RENAME TO contacts_old;
ALTER TABLE contacts_new RENAME TO contacts;
COMMIT;
