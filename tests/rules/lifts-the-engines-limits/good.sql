SET LOCAL lock_timeout = '1s';
SELECT set_config('lock_timeout', '1s', true);
SELECT set_config('app.' || current_user, 'on', true);
RESET search_path;
