SELECT set_config('role', 'app', true);
