DO LANGUAGE plpython3u $$ import os $$;
