-- Phase 1: Expand (add new structure)
ALTER TABLE users ADD COLUMN email_new VARCHAR(255);

-- Phase 2: Migrate data (can be done gradually)
UPDATE users SET email_new = email WHERE email_new IS NULL;

-- Phase 3: Switch application to use new column
-- (Deploy application changes)

-- Phase 4: Contract (remove old structure)
ALTER TABLE users DROP COLUMN email;
ALTER TABLE users RENAME COLUMN email_new TO email;
