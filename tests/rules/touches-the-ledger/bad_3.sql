SET LOCAL search_path = public, migrator;
