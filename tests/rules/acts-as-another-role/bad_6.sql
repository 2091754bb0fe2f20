DO $$
DECLARE
    who text;
BEGIN
    who := set_config('ro' || 'le', 'admin', true);
END $$;
