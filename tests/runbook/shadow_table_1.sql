-- Create new table structure
CREATE TABLE contacts_new (LIKE contacts INCLUDING ALL);

-- Add new columns/constraints
ALTER TABLE contacts_new ADD COLUMN metadata JSONB DEFAULT '{}';

-- Set up trigger for real-time sync
CREATE OR REPLACE FUNCTION sync_contacts_to_new() RETURNS TRIGGER AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO contacts_new SELECT NEW.*;
  ELSIF TG_OP = 'UPDATE' THEN
    UPDATE contacts_new SET 
      (phone, name, tenant_id, created_at, updated_at) = 
      (NEW.phone, NEW.name, NEW.tenant_id, NEW.created_at, NEW.updated_at)
    WHERE id = NEW.id;
  ELSIF TG_OP = 'DELETE' THEN
    DELETE FROM contacts_new WHERE id = OLD.id;
  END IF;
  RETURN NEW;
END;
$$ LANGUAGE plpgsql;

CREATE TRIGGER sync_contacts_trigger
AFTER INSERT OR UPDATE OR DELETE ON contacts
FOR EACH ROW EXECUTE FUNCTION sync_contacts_to_new();
