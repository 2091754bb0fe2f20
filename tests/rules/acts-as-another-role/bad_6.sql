DO $$
DECLARE
    who text;
BEGIN
    who := set_config(setting_name => 'ro' || 'le', new_value => 'admin', is_local => true);
END $$;
