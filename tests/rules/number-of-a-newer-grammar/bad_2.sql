-- server version: 150002
DO $$
DECLARE
    largest int;
BEGIN
    largest := 0x10;
    DELETE FROM messages WHERE id > largest;
END $$;
