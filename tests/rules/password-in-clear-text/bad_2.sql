ALTER ROLE app PASSWORD 'secret';
