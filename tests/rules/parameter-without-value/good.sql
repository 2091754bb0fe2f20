PREPARE renamed AS UPDATE users SET name = 'x' WHERE id = $1;
