UPDATE messages SET body = '' WHERE id = 1;
