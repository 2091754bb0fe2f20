UPDATE messages SET body = '';
